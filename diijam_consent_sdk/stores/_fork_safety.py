"""
Stores and `fork`: a fork waits for the store calls under way, and a child inherits no held lock and no open file.

The parent's locks would not protect the child's writes, nor the other way round.
"""

from __future__ import annotations

import ctypes
import os
import time
import weakref
from contextlib import suppress
from typing import Protocol

from .._threads import Promise
from ._call_queue import CallQueue, Ticket

MAX_WAIT_SECONDS = 2.0  # longer than a call that waits for another process's lock, as `busy_seconds` comes


def leak(*inherited: object) -> None:
    """
    Keep these for as long as the process runs, so that no finalizer runs. A forked child does so with connections that
    it inherited: to close one would end the parent's.
    """
    for thing in inherited:
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(thing))  # a reference that nobody drops


class Resource(Protocol):
    """What a store keeps open between calls, and opens again when a call needs it."""

    def release(self) -> None:
        """Close it before a fork."""

    def reset_after_fork(self) -> None:
        """In a child: abandon what was inherited all the same, unclosed, as it is the parent's."""


class Gate:
    """
    Calls go through (`with gate.call():`). A fork closes the gate, waits, bounded, until those inside are out, and
    releases what is open. Else SQLite in a child would count the parent's locks as the child's, and other processes
    would not: they would delete the write-ahead log that the child writes to.
    """

    def __init__(self) -> None:
        self._resources: weakref.WeakSet[Resource] = weakref.WeakSet()
        self._inherited = False
        self._begin()

    def _begin(self) -> None:
        self._inside = CallQueue()
        self._forks: list[Promise[None]] = []  # under way
        self._pid = os.getpid()

    def call(self) -> Ticket:
        """Begin a call, for a `with` block: a fork waits for its end, but not for long."""
        if self._pid != os.getpid():  # forked, and the hooks below never ran
            self._begin()
        ticket = self._inside.join()  # before the look: a fork that begins after it sees the ticket
        return self._wait_for_forks(ticket) if self._forks else ticket

    def _wait_for_forks(self, ticket: Ticket) -> Ticket:
        until = time.monotonic() + MAX_WAIT_SECONDS
        while (forks := tuple(self._forks)) and (left := until - time.monotonic()) > 0:
            ticket.leave()
            forks[0].wait(left)
            ticket = self._inside.join()
        return ticket

    def register(self, resource: Resource) -> None:
        """Release this resource before each fork."""
        self._resources.add(resource)

    @property
    def was_forked_during_a_call(self) -> bool:
        """Whether this is a child that inherited a connection in use, with its locks: no store can be used here."""
        return self._inherited

    def before_fork(self) -> None:
        """Hold new calls up, wait for those under way, and release the resources."""
        self._forks.append(Promise())
        self._inside.wait_until_first(None, MAX_WAIT_SECONDS)
        for resource in tuple(self._resources):
            with suppress(Exception):
                resource.release()

    def after_fork_in_parent(self) -> None:
        """Let calls through again, once no other fork is under way."""
        with suppress(IndexError):  # a signal handler raised in `before_fork`
            self._forks.pop(0).set_result(None)

    def after_fork_in_child(self) -> None:
        """Start with nothing inside: the parent's other threads are not here."""
        self._inherited = self._inherited or self._inside.first() is not None
        self._begin()
        for resource in tuple(self._resources):
            resource.reset_after_fork()


gate = Gate()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=gate.before_fork, after_in_parent=gate.after_fork_in_parent, after_in_child=gate.after_fork_in_child
    )

"""Forks: none happens amid a store call, if that can be had in a moment; and a child finds no lock and no file open."""

from __future__ import annotations

import ctypes
import os
import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Protocol

from .._threads import Promise
from ._places import Places

MAX_WAIT_SECONDS = 2.0  # longer than a call that waits for another process's lock, as `busy_seconds` comes


def leak(*inherited: object) -> None:
    """
    Keep these for as long as the process runs, so that no finalizer runs. A forked child does so with connections that
    it inherited: to close one would end the parent's.
    """
    for thing in inherited:
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(thing))  # a reference that nobody drops


class Resource(Protocol):
    """What a store keeps open between calls, and opens anew when it is needed."""

    def let_go(self) -> None:
        """Close it: a fork is coming."""

    def forget(self) -> None:
        """In a child: what came along all the same is not its own, and must never be closed."""


class Gate:
    """
    Calls go through (`with gate.call():`); a fork shuts it, waits, bounded, until those inside are out, and lets go of
    what is open. In a child SQLite would count the parent's locks as its own, and other processes would not: they would
    delete the write-ahead log that the child writes to.
    """

    def __init__(self) -> None:
        self._resources: weakref.WeakSet[Resource] = weakref.WeakSet()
        self._inherited = False
        self._begin()

    def _begin(self) -> None:
        self._inside = Places()
        self._forks: list[Promise[None]] = []  # under way
        self._pid = os.getpid()

    @contextmanager
    def call(self) -> Iterator[None]:
        """The block is a call: no fork happens amid it, if that can be had in a moment."""
        if self._pid != os.getpid():  # forked, and the hooks below never ran
            self._begin()
        until = time.monotonic() + MAX_WAIT_SECONDS
        while True:
            with self._inside.place():  # before the look: a fork that begins after it sees the place
                left = until - time.monotonic()
                if not (forks := tuple(self._forks)) or left <= 0:
                    yield
                    return
            forks[0].wait(left)

    def register(self, resource: Resource) -> None:
        """Let go of this before each fork."""
        self._resources.add(resource)

    @property
    def was_forked_amid_a_call(self) -> bool:
        """Whether this is a child that a connection in use, with its locks, came into: past saving."""
        return self._inherited

    def shut(self) -> None:
        """Before the fork."""
        self._forks.append(Promise())
        self._inside.wait_until_first(None, MAX_WAIT_SECONDS)
        for resource in tuple(self._resources):
            with suppress(Exception):
                resource.let_go()

    def open(self) -> None:
        """After the fork, in the parent."""
        with suppress(IndexError):  # a handler that raised when the gate was to be shut
            self._forks.pop(0).set_result(None)

    def renew(self) -> None:
        """After the fork, in the child: threads that were inside are not here."""
        self._inherited = self._inherited or self._inside.first() is not None
        self._begin()
        for resource in tuple(self._resources):
            resource.forget()


gate = Gate()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=gate.shut, after_in_parent=gate.open, after_in_child=gate.renew)

"""Forks: none happens amid a store call, if that can be had in a moment; and a child finds no lock and no file open."""

from __future__ import annotations

import ctypes
import os
import threading
import weakref
from contextlib import suppress
from typing import Protocol

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
    Calls go through (`with gate:`); a fork shuts it, waits, bounded, until those inside are out, and lets go of what
    is open. In a child SQLite would count the parent's locks as its own, and other processes would not: they would
    delete the write-ahead log that the child writes to.
    """

    def __init__(self) -> None:
        self._resources: weakref.WeakSet[Resource] = weakref.WeakSet()
        self._inherited = False
        self._begin()

    def _begin(self) -> None:
        self._changed = threading.Condition()
        self._inside = 0
        self._forks = 0  # under way
        self._pid = os.getpid()

    def __enter__(self) -> None:
        if self._pid != os.getpid():  # forked, and the hooks below never ran
            self._begin()
        with self._changed:
            self._changed.wait_for(lambda: not self._forks, MAX_WAIT_SECONDS)
            self._inside += 1

    def __exit__(self, *_: object) -> None:
        with self._changed:
            self._inside -= 1
            self._changed.notify_all()

    def register(self, resource: Resource) -> None:
        """Let go of this before each fork."""
        with self._changed:
            self._resources.add(resource)

    @property
    def was_forked_amid_a_call(self) -> bool:
        """Whether this is a child that a connection in use, with its locks, came into: past saving."""
        return self._inherited

    def shut(self) -> None:
        """Before the fork."""
        with self._changed:
            self._forks += 1
            self._changed.wait_for(lambda: not self._inside, MAX_WAIT_SECONDS)
            for resource in self._resources:
                with suppress(Exception):
                    resource.let_go()

    def open(self) -> None:
        """After the fork, in the parent."""
        with self._changed:
            self._forks -= 1
            self._changed.notify_all()

    def renew(self) -> None:
        """After the fork, in the child: threads that were inside are not here."""
        self._inherited = self._inherited or self._inside > 0
        self._begin()
        for resource in self._resources:
            resource.forget()


gate = Gate()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=gate.shut, after_in_parent=gate.open, after_in_child=gate.renew)

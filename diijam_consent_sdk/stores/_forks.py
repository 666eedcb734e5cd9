"""Forks: none happens amid a store call, if that can be had in a moment; and a child finds no lock held."""

from __future__ import annotations

import os
import threading

MAX_WAIT_SECONDS = 0.5


class Gate:
    """Calls go through (`with gate:`); a fork shuts it, and waits, bounded, until those inside are out."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._inside = 0
        self._shut = False

    def __enter__(self) -> None:
        with self._changed:
            self._changed.wait_for(lambda: not self._shut, MAX_WAIT_SECONDS)
            self._inside += 1

    def __exit__(self, *_: object) -> None:
        with self._changed:
            self._inside -= 1
            self._changed.notify_all()

    def shut(self) -> None:
        """Before the fork."""
        with self._changed:
            self._shut = True
            self._changed.wait_for(lambda: not self._inside, MAX_WAIT_SECONDS)

    def open(self) -> None:
        """After the fork, in the parent."""
        with self._changed:
            self._shut = False
            self._changed.notify_all()

    def renew(self) -> None:
        """After the fork, in the child: threads that were inside are not here."""
        self.__init__()  # type: ignore[misc]


gate = Gate()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=gate.shut, after_in_parent=gate.open, after_in_child=gate.renew)

"""Hand batches of lines on: to standard output, or to a program that is run for each batch."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Protocol

from ...._files import HAS_LOCKS
from ...console import print_json


class ProgramFailed(OSError):
    """The program of `--exec` did not take a batch in."""


class Batches(Protocol):
    """Where batches go."""

    lines: int

    def run(self, lines: Iterable[bytes]) -> None:
        """Hand one batch on. It was taken in when this returns."""


class Printed:
    """Batches as lines on standard output."""

    def __init__(self) -> None:
        self.lines = 0

    def run(self, lines: Iterable[bytes]) -> None:
        """See `Batches.run`."""
        for line in lines:
            print_json(line)
            self.lines += 1
        sys.stdout.flush()


class Executed:
    """
    Batches as the standard input of a program.

    Args:
        command: The program and its arguments.

        lock: The descriptor of the lock on the checkpoint, which the program holds too: it may outlive a watch that is
            killed, and hand on a yes after the next watch handed on a no.
    """

    def __init__(self, command: list[str], lock: int | None = None) -> None:
        self.lines = 0
        self._command = command
        self._inherited = () if lock is None or not HAS_LOCKS else (lock,)

    def run(self, lines: Iterable[bytes]) -> None:
        """See `Batches.run`; `ProgramFailed` unless the program ends with status 0."""
        batch = list(lines)
        text = b"".join(line + b"\n" for line in batch)
        done = subprocess.run(self._command, input=text, check=False, pass_fds=self._inherited)  # noqa: S603 - the operator's own program
        if done.returncode:
            raise ProgramFailed(
                f"{self._command[0]} ended with status {done.returncode}, and the checkpoint stays before this batch:"
                " see why, then run the same command again"
            )
        self.lines += len(batch)


@contextmanager
def open_batches(program: str | None, lock: int | None = None) -> Iterator[Batches]:
    """
    Give where batches go.

    Args:
        program: A command line for each batch, split as a shell would; None for standard output.

        lock: The descriptor of the lock on the checkpoint, if there is one.

    Raises:
        ValueError: the command line is empty, or names no program.
    """
    if program is None:
        yield Printed()
        return
    try:
        command = shlex.split(program)
    except ValueError as error:  # a quote that is not closed
        raise ValueError(f"--exec is no command line: {error}") from None
    if not command or shutil.which(command[0]) is None:
        raise ValueError(f"--exec names no program: {program[:80]!r}")
    yield Executed(command, lock)

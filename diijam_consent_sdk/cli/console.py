"""What people see: results on standard output, everything else on standard error, colour only on a terminal."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta, timezone
from typing import TextIO

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn

VIETNAM = timezone(timedelta(hours=7))
UNLIMITED_COLUMNS = 100_000  # a table in a pipe is never folded


def printable(text: str) -> str:
    """*text* on one line, with what a terminal would obey or hide (control, direction, surrogates) spelled out."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def local(at: datetime) -> str:
    """An instant for people to read, in the time of Vietnam: no daylight saving there. JSON has all times in UTC."""
    return at.astimezone(VIETNAM).isoformat(timespec="seconds")


def say(*lines: str) -> None:
    """Print results on standard output."""
    for line in lines:
        sys.stdout.write(printable(line) + "\n")


def say_json(line: bytes) -> None:
    """Print a line of JSON on standard output, what a terminal would obey or hide spelled as JSON spells it."""
    text = line.decode()
    if not text.isprintable():
        text = "".join(c if c.isprintable() else json.dumps(c)[1:-1] for c in text)
    sys.stdout.write(text + "\n")


def tell(*lines: str) -> None:
    """Print on standard error what is no result. A reader that is gone is no reason to fail."""
    with suppress(BrokenPipeError):
        for line in lines:
            sys.stderr.write(printable(line) + "\n")
        sys.stderr.flush()


class _Console(Console):
    def on_broken_pipe(self) -> None:
        raise BrokenPipeError  # rich would exit with 1, which is a customer's no


def console_for(stream: TextIO, columns: int = UNLIMITED_COLUMNS) -> Console:
    """
    A console that colours and folds only for a terminal, whatever FORCE_COLOR says.

    Args:
        stream: Where it prints.

        columns: Where it folds if that is no terminal.
    """
    width = None if stream.isatty() else columns
    return _Console(
        file=stream, markup=False, emoji=False, highlight=False, force_terminal=stream.isatty(), width=width
    )


@contextmanager
def progress(doing: str, total: int | None) -> Iterator[Callable[[int, int], None]]:
    """
    A progress bar, with the rate and the time left, on standard error while the block runs; nothing at all if that is
    no terminal.

    Args:
        doing: What the bar says is going on.

        total: When it is full, in any unit; None if that is not known.

    Returns:
        A function to call now and then with what is done of *total*, and with the users done.
    """
    columns: list[ProgressColumn] = [
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[users]:,} users"),
        TextColumn("{task.fields[rate]:,.0f} a second"),
    ]
    if total is not None:
        columns += [TimeRemainingColumn(), TextColumn("left")]
    bar = Progress(
        *columns,
        console=console_for(sys.stderr),
        transient=True,
        redirect_stdout=False,
        redirect_stderr=False,
        disable=not sys.stderr.isatty(),
    )
    began = time.monotonic()
    with bar:
        task = bar.add_task(doing, total=total, users=0, rate=0.0)

        def show(done: int, users: int) -> None:
            rate = users / max(time.monotonic() - began, 0.001)
            bar.update(task, completed=done, users=users, rate=rate)

        yield show

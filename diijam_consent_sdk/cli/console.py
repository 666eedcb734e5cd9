"""
Print results on standard output and everything else on standard error.

Scripts read the results, so no colour, folding or control character reaches a pipe.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime
from typing import Any, TextIO

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.table import Table

from ..wording import in_vietnam

UNLIMITED_COLUMNS = 100_000  # so that a table in a pipe is never folded


def printable(text: str) -> str:
    """Return *text* on one line, its control characters, direction marks and surrogates spelled as escapes."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def format_time(at: datetime) -> str:
    """Format an instant in the time of Vietnam, which has no daylight saving. JSON has all times in UTC."""
    return in_vietnam(at).isoformat(timespec="seconds")


def format_fields(fields: Mapping[str, Any]) -> str:
    """Format fields as `name=value`, a set as its sorted words; without those that are None or empty."""
    return " ".join(f"{name}={_format_value(value)}" for name, value in fields.items() if value not in (None, set()))


def _format_value(value: object) -> str:
    if isinstance(value, datetime):
        return format_time(value)
    return ",".join(sorted(value)) if isinstance(value, Iterable) and not isinstance(value, str) else str(value)


def print_result(*lines: str) -> None:
    """Print results on standard output."""
    for line in lines:
        sys.stdout.write(printable(line) + "\n")


def print_json(line: bytes) -> None:
    """Print a line of JSON on standard output, its control characters spelled as JSON escapes."""
    text = line.decode()
    if not text.isprintable():
        text = "".join(c if c.isprintable() else json.dumps(c)[1:-1] for c in text)
    sys.stdout.write(text + "\n")


def print_status(*lines: str) -> None:
    """Print on standard error, for people. A closed pipe or a full disk is ignored, since no result is lost."""
    with suppress(OSError):
        for line in lines:
            sys.stderr.write(printable(line) + "\n")
        sys.stderr.flush()


def print_table(columns: Iterable[str], rows: Iterable[tuple[str, ...]]) -> None:
    """Print a table on standard output, with a heading for each column; nothing if there are no rows."""
    table = Table(box=None, pad_edge=False)
    for name in columns:
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(*map(printable, row))
    if table.row_count:
        make_console(sys.stdout).print(table)


class _Console(Console):
    def on_broken_pipe(self) -> None:
        raise BrokenPipeError  # rich would exit with 1, which means that a customer said no


def make_console(stream: TextIO, columns: int = UNLIMITED_COLUMNS) -> Console:
    """
    Make a console that colours and folds only for a terminal, whatever FORCE_COLOR is.

    Args:
        stream: Where the console prints.

        columns: The width to fold at where *stream* is not a terminal.
    """
    width = None if stream.isatty() else columns
    return _Console(
        file=stream, markup=False, emoji=False, highlight=False, force_terminal=stream.isatty(), width=width
    )


@contextmanager
def show_progress(description: str, total: int | None, things: str = "users") -> Iterator[Callable[[int, int], None]]:
    """
    Show a progress bar, with the rate and the time left, while the block runs; only if standard error is a terminal.

    Args:
        description: What is going on.

        total: The value at which the bar is full, in any unit; None if it is not known.

        things: What is counted.

    Returns:
        A function that updates the bar, to call with what is done of *total* and with the things done.
    """
    columns: list[ProgressColumn] = [
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[users]:,} " + things),
        TextColumn("{task.fields[rate]:,.0f} a second"),
    ]
    if total is not None:
        columns += [TimeRemainingColumn(), TextColumn("left")]
    bar = Progress(
        *columns,
        console=make_console(sys.stderr),
        transient=True,
        redirect_stdout=False,
        redirect_stderr=True,  # lines that are printed meanwhile appear above the bar
        disable=not sys.stderr.isatty(),
    )
    began = time.monotonic()
    with bar:
        task = bar.add_task(description, total=total, users=0, rate=0.0)

        def update(done: int, users: int) -> None:
            rate = users / max(time.monotonic() - began, 0.001)
            bar.update(task, completed=done, users=users, rate=rate)

        yield update

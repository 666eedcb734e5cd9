"""Interruptions: what a signal handler that raises does to the code that it interrupts, line by line."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from linecache import getline
from pathlib import Path
from types import FrameType
from typing import Any

import cachetools

import diijam_consent_sdk

# Where a handler may raise: this library, and what it keeps its users in.
SOURCES = (str(Path(diijam_consent_sdk.__file__).parent), str(Path(cachetools.__file__).parent))


class Interrupt(BaseException):
    """What the handler raises."""


@contextmanager
def interrupted_at(number: int) -> Iterator[list[int]]:
    """Interrupt this thread before the line of that number that it runs in `SOURCES`. Give the number it came to."""
    lines = [0]

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        if not frame.f_code.co_filename.startswith(SOURCES):
            return None
        # A `with` that ends shows its line once more, where no handler ever runs: between its block and its end.
        if event == "line" and not getline(frame.f_code.co_filename, frame.f_lineno).lstrip().startswith("with "):
            lines[0] += 1
            if lines[0] == number:
                raise Interrupt
        return trace

    before = sys.gettrace()
    gc.disable()  # else it may be the end of another test's client that is interrupted, which Python only reports
    sys.settrace(trace)
    try:
        yield lines
    except Interrupt:
        pass
    finally:
        sys.settrace(before)
        gc.enable()


def everywhere(begin: Callable[[], Callable[[], object]]) -> Iterator[None]:
    """Repeat what *begin* returns, interrupted one line later each time, until it comes to its end."""
    for number in range(1, 10_000):
        act = begin()
        with interrupted_at(number) as lines:
            act()
        if lines[0] < number:
            assert number > 3
            return
        yield
    raise AssertionError("it has no end")

"""
A coroutine that refuses to be a condition, so that a forgotten `await` fails a test.

A plain coroutine is truthy and would read as yes. The check triples the cost of a call, which only tests can afford.
"""

from __future__ import annotations

import sys
from collections.abc import Coroutine, Generator
from typing import Any, TypeVar

T = TypeVar("T")


class StrictCoroutine(Coroutine[Any, Any, T]):
    """A coroutine that can be awaited, and raises where it is used as a condition."""

    def __init__(self, coroutine: Coroutine[Any, Any, T]) -> None:
        self._coroutine = coroutine

    def __bool__(self) -> bool:
        if str(sys._getframe(1).f_globals.get("__name__")).startswith("asyncio."):  # noqa: SLF001 - it has no other name
            return True  # before Python 3.13 the repr of a task tests its coroutine
        self._coroutine.close()
        raise TypeError("a coroutine is no answer: await it")

    def __await__(self) -> Generator[Any, Any, T]:
        return self._coroutine.__await__()

    def send(self, value: Any) -> Any:
        """See `Coroutine.send`."""
        return self._coroutine.send(value)

    def throw(self, *error: Any) -> Any:
        """See `Coroutine.throw`."""
        return self._coroutine.throw(*error)

    def close(self) -> None:
        """See `Coroutine.close`."""
        self._coroutine.close()

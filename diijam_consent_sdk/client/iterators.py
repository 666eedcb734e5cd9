"""
Iterators of users or ids without a truth value: `if consent.permitted(…):` raises instead of reading as yes. mypy
reports the slip too (docs/how-to/misuse.md).
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Generator, Iterator
from typing import NoReturn, TypeVar

T = TypeVar("T")


class _NoTruth:
    def __bool__(self) -> NoReturn:
        raise TypeError("an iterator says nothing of any user: go through the users one by one")


class LoudIterator(_NoTruth, Iterator[T]):
    """An iterator that raises `TypeError` where its truth is asked for."""

    def __init__(self, items: Generator[T, None, None]) -> None:
        self._items = items

    def __iter__(self) -> Iterator[T]:  # noqa: PYI034 - gives the generator itself, so that a loop costs nothing more
        return self._items

    def __next__(self) -> T:
        return next(self._items)

    def close(self) -> None:
        """Leave it early: for `contextlib.closing`."""
        self._items.close()


class LoudAsyncIterator(_NoTruth, AsyncIterator[T]):
    """`LoudIterator` for asyncio."""

    def __init__(self, items: AsyncGenerator[T, None]) -> None:
        self._items = items

    def __aiter__(self) -> AsyncIterator[T]:  # noqa: PYI034 - as above
        return self._items

    async def __anext__(self) -> T:
        return await anext(self._items)

    async def aclose(self) -> None:
        """Leave it early: for `contextlib.aclosing`."""
        await self._items.aclose()

"""
What has no truth, so that a slip raises where it would read as yes: a guard that is not called (`if user.can_market:`),
and answers that nobody goes through (`if consent.permitted(…):`). mypy reports them too (docs/how-to/misuse.md).
"""

from __future__ import annotations

import functools
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Iterator
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])


class BoundGuard(functools.partial[T]):
    """A guard of one user or client: to be called, and nothing else."""

    __slots__ = ()

    def __bool__(self) -> NoReturn:
        raise TypeError(f"a guard is called: write {self.func.__name__}(...); without the call it reads as yes")


class _Guard(property):
    """A method whose bound form is a `BoundGuard`; a property of C functions alone is the quickest way to bind one."""

    __wrapped__: Callable[..., Any]

    def __init__(self, method: Callable[..., Any]) -> None:
        super().__init__(functools.partial(BoundGuard, method))
        functools.update_wrapper(self, method)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """As a function of the class."""
        return self.__wrapped__(*args, **kwargs)


if TYPE_CHECKING:

    def guard(method: F) -> F:
        """To a type checker a guard is a method like any other."""
else:
    guard = _Guard


class _NoAnswer:
    """What has answers, and is none."""

    def __bool__(self) -> NoReturn:
        raise TypeError("go through the users one by one: that there is an iterator says nothing of any of them")


class LoudIterator(_NoAnswer, Iterator[T]):
    """Answers to be gone through, and nothing else."""

    def __init__(self, items: Generator[T, None, None]) -> None:
        self._items = items

    def __iter__(self) -> Iterator[T]:  # noqa: PYI034 - a loop goes through the items at no cost
        return self._items

    def __next__(self) -> T:
        return next(self._items)

    def close(self) -> None:
        """Leave it early: for `contextlib.closing`."""
        self._items.close()


class LoudAsyncIterator(_NoAnswer, AsyncIterator[T]):
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

"""
What has no truth, so that a slip fails where it would read as yes: a guard that was not called (`if user.can_market:`),
a coroutine that was not awaited, a generator of ids that nobody went through (`if consent.permitted(…):`).

mypy reports the first by default, the others with `truthy-bool` (docs/how-to/misuse.md). At run time a method, a
coroutine and a generator are truthy. In services the guards stay plain methods, since a call through `BoundGuard` costs
three times as much; tests can afford it, so the clients of this kit are loud.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Generator, Iterator
from typing import Any, NoReturn, TypeVar

from ..user import UserConsent

T = TypeVar("T")

GUARDS = ("can_market", "can_process", "can_retain", "can_share", "decide", "is_public", "public_view")


class BoundGuard(functools.partial[Any]):
    """A guard of one user: to be called, and nothing else."""

    def __bool__(self) -> NoReturn:
        raise TypeError(f"a guard is called: write {self.func.__name__}(...); without the call it reads as yes")


class LoudGuard:
    """A method whose bound form has no truth."""

    def __init__(self, guard: Callable[..., Any]) -> None:
        self._guard = guard
        self.__doc__ = guard.__doc__

    def __get__(self, instance: object, owner: type | None = None) -> Callable[..., Any]:
        return self._guard if instance is None else BoundGuard(self._guard, instance)


def make_loud(kind: type) -> None:
    """Make the guards of a class loud."""
    for name in GUARDS:
        setattr(kind, name, LoudGuard(getattr(kind, name)))


class LoudUserConsent(UserConsent):
    """`UserConsent` with loud guards."""

    __slots__ = ()


make_loud(LoudUserConsent)


def loud(user: UserConsent) -> UserConsent:
    """The same user, from now on with loud guards."""
    user.__class__ = LoudUserConsent
    return user


class LoudCoroutine(Coroutine[Any, Any, T]):
    """A coroutine to be awaited, and nothing else."""

    def __init__(self, coroutine: Coroutine[Any, Any, T]) -> None:
        self._coroutine = coroutine

    def __bool__(self) -> bool:
        if str(sys._getframe(1).f_globals.get("__name__")).startswith("asyncio."):  # noqa: SLF001 - it has no other name
            return True  # before Python 3.13 the repr of a task asks whether it has one
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


class LoudIterator(Iterator[T]):
    """Answers to be gone through, and nothing else."""

    def __init__(self, items: Iterator[T]) -> None:
        self._items = items

    def __bool__(self) -> NoReturn:
        raise TypeError("go through the users one by one: that there is an iterator says nothing of any of them")

    def __iter__(self) -> Iterator[T]:  # noqa: PYI034 - a loop goes through the items at no cost
        return self._items

    def __next__(self) -> T:
        return next(self._items)


class LoudAsyncIterator(AsyncIterator[T]):
    """`LoudIterator` for asyncio."""

    def __init__(self, items: AsyncIterator[T]) -> None:
        self._items = items

    def __bool__(self) -> NoReturn:
        raise TypeError("go through the users one by one: that there is an iterator says nothing of any of them")

    def __aiter__(self) -> AsyncIterator[T]:  # noqa: PYI034 - as above
        return self._items

    async def __anext__(self) -> T:
        return await anext(self._items)

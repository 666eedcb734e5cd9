"""
Guards that fail when they are not called. A method is truthy, so `if user.can_market:` would read as yes.

mypy reports it by default (`truthy-function`). In services the guards stay plain methods: a call through these costs
three times as much. Tests can afford it, so the clients of this kit hand out users with these guards.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NoReturn

from ..user import UserConsent

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

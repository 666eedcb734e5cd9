"""
Guards without a truth value: `if user.can_market:`, which forgets the call, raises instead of reading as yes. mypy
reports the slip too (docs/how-to/misuse.md).
"""

from __future__ import annotations

import functools
import types
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import msgspec

F = TypeVar("F", bound=Callable[..., Any])


class BoundGuard(msgspec.Struct, eq=False, gc=False):
    """A guard of one user or client: to be called, and nothing else. Each guard is a subclass with its `__call__`."""

    _self: Any

    def __bool__(self) -> NoReturn:
        raise TypeError(f"a guard is called: write {type(self).__name__}(...); without the call it reads as yes")


class _Guard(property):
    """
    A method whose bound form is a `BoundGuard`, a Struct that a property makes: that takes half the time of a
    `functools.partial`. The method's `self` is the `BoundGuard`, and `self._self` is the user or the client.
    """

    __wrapped__: Callable[..., Any]

    def __init__(self, method: Callable[..., Any]) -> None:
        members = {"__call__": method, "__doc__": method.__doc__, "__module__": method.__module__}
        super().__init__(types.new_class(method.__name__, (BoundGuard,), exec_body=lambda body: body.update(members)))
        functools.update_wrapper(self, method)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """As a function of the class."""
        return self.__wrapped__(*args, **kwargs)


if TYPE_CHECKING:

    def guard(method: F) -> F:
        """To a type checker a guard is a method like any other."""
else:
    guard = _Guard

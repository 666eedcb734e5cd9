"""
Guards without a truth value: `if user.can_market:`, which forgets the call, raises instead of reading as yes. mypy
reports the slip too (docs/how-to/misuse.md).
"""

from __future__ import annotations

import functools
from collections.abc import Callable
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

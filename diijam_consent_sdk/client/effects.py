"""
What a client waits for, as values. `Steps` are generators that yield one of them, are sent its outcome, and never
block: the two drivers run the same steps in threads or in asyncio tasks.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any, TypeVar

import attrs

from .._threads import Promise

T = TypeVar("T")


@attrs.frozen
class Call:
    """Call a method of the store."""

    method: str
    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] = attrs.field(factory=dict)


@attrs.frozen
class Wait:
    """Wait for a promise, but not past an instant of `time.monotonic()`: then `Late` is raised."""

    promise: Promise[Any]
    until: float


@attrs.frozen
class Sleep:
    """Wait for some seconds, or until the driver stops."""

    seconds: float


Steps = Generator[Call | Wait | Sleep, Any, T]
Spawn = Callable[[Steps[Any]], Promise[Any]]  # what the steps return or raise; raises nothing itself

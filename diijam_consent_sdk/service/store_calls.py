"""Makes single calls of a store for the event loop, of a sync store in threads, of an async one on the loop."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable
from functools import partial
from typing import Any, TypeVar

from ..errors import ConsentError
from ..stores.sql.chain_walk import ChainPage
from .lanes import Lane

T = TypeVar("T")
ITEMS = ("users", "records", "entries", "erasures")  # of what a call may find
INLINE_ITEMS = 16  # records, rows or entries that are encoded on the event loop: a thread would cost more


class InvalidArguments(Exception):
    """The store refused a call's arguments (`ValueError`, `TypeError`), so the question was wrong."""


def check_arguments(check: Callable[[], T]) -> T:
    """
    Call what may refuse arguments.

    Raises:
        InvalidArguments: it refused them.
    """
    try:
        return check()
    except ConsentError:  # first, since InvalidEvent is a ValueError too
        raise
    except (ValueError, TypeError) as error:
        raise InvalidArguments(str(error)) from error


async def run_call(
    lane: Lane, caller: Hashable, call: Callable[[], Any], convert: Callable[[Any], T], *, is_async: bool
) -> T:
    """
    Make a call in its lane, once it is the caller's turn.

    Args:
        lane: Where calls of this kind wait.

        caller: The one that the call is made for.

        call: The call, begun at the last moment.

        convert: Called with what the call found, off the event loop if that may be large.

        is_async: Whether the call is a coroutine.

    Returns:
        The converted answer.

    Raises:
        InvalidArguments: the store refused the arguments.

        Exception: as the store raises it.
    """
    if not is_async:
        return await lane.run(caller, lambda: convert(check_arguments(call)))
    await lane.semaphore.acquire(caller)
    try:
        found = await check_arguments_async(call)
        if _is_small(found):
            return convert(found)
    finally:
        lane.semaphore.release(caller)
    return await lane.run(caller, partial(convert, found))


async def check_arguments_async(call: Callable[[], Awaitable[T]]) -> T:
    """Await a call that may refuse arguments. Raises as `check_arguments` does."""
    try:
        return await call()
    except ConsentError:
        raise
    except (ValueError, TypeError) as error:
        raise InvalidArguments(str(error)) from error


def _is_small(found: Any) -> bool:
    if isinstance(found, ChainPage):
        return False
    items = found if isinstance(found, list) else next((getattr(found, n) for n in ITEMS if hasattr(found, n)), ())
    return len(items) <= INLINE_ITEMS

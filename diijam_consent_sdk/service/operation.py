"""
An operation of the service as a value, and one call of it.

Most of the time that the framework took for a small question went into its request, its dependencies and its response.
So questions are answered by `dispatch` without it, and the framework only has their declarations, for the document.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import attrs
from litestar.types import Receive

from ..stores.message_fields import Answer, Question
from .context import ServiceContext
from .scopes import Scope
from .tokens import TokenEntry

Parts = AsyncGenerator[bytes]  # the lines of an answer in parts
Handle = Callable[["Call", Any], Awaitable[bytes | Parts]]


@attrs.define(eq=False)
class Call:
    """One question to an operation. Use it on the event loop only."""

    context: ServiceContext
    receive: Receive  # ASGI's, for what comes after the question
    authorization: str = attrs.field(repr=False)  # the header, empty without one
    token: TokenEntry = attrs.field(init=False)  # set by `auth.authorize`
    caller: str | None = None  # the token's name, once it is known
    users: int = 0  # how many users were asked about, or are named by the answer
    status: int = 500  # of the answer, once it has begun

    @contextmanager
    def disconnected(self) -> Iterator[asyncio.Future[None]]:
        """Give a future that is done once the client is gone. Use one at a time, after the question was read."""
        waiting = asyncio.ensure_future(self._wait_for_disconnect())
        try:
            yield waiting
        finally:
            waiting.cancel()

    async def _wait_for_disconnect(self) -> None:
        while (await self.receive())["type"] != "http.disconnect":
            pass


@attrs.frozen(eq=False)
class Operation:
    """
    What the service does with one kind of question.

    Args:
        path: Its path; the method is POST.

        question: The type that its questions are decoded to.

        answer: The type of its answers, for the document.

        scopes: A token needs one of these.

        handle: Called with the call and its question; returns the answer's JSON, or its lines part by part.

        beside: A token needs all of these, too.

        is_write: Whether it changes the ledger or its registry.
    """

    path: str
    question: type[Question]
    answer: type[Answer]
    scopes: frozenset[Scope]
    handle: Handle
    beside: frozenset[Scope] = frozenset()
    is_write: bool = False


def operation(
    path: str,
    question: type[Question],
    answer: type[Answer],
    scopes: frozenset[Scope],
    *,
    beside: frozenset[Scope] = frozenset(),
    is_write: bool = False,
) -> Callable[[Handle], Operation]:
    """Make an `Operation` of the function that handles it, whose docstring is published in the document."""
    return lambda handle: Operation(path, question, answer, scopes, handle, beside, is_write)

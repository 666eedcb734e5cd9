"""Attempts within a call's deadline: what the last one says of those before it."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from typing import Any

import pytest

from diijam_consent_sdk import events as e
from diijam_consent_sdk.errors import InvalidEvent, OutcomeUnknown, StoreUnavailable, StoreUnusable, VersionConflict
from diijam_consent_sdk.stores._retry import Attempts, Failure
from diijam_consent_sdk.stores.http.async_store import AsyncHttpStore
from diijam_consent_sdk.stores.http.store import HttpStore


def appending(kind: type[Any], outcomes: list[Exception], key: str | None) -> Callable[[], None]:
    """An append over HTTP whose tries end so, one after the other."""
    store = kind("http://127.0.0.1:1", deadline=5)

    def next_try(*_: object) -> None:
        raise outcomes.pop(0)

    async def next_async_try(*_: object) -> None:
        """The same, awaited."""
        next_try()

    is_async = inspect.iscoroutinefunction(kind.append)
    store._transport.send = next_async_try if is_async else next_try

    def append() -> None:
        answer = store.append("u", [e.AccountOpened()], idempotency_key=key)
        if is_async:
            asyncio.run(answer)

    return append


@pytest.mark.parametrize("kind", [HttpStore, AsyncHttpStore])
@pytest.mark.parametrize(
    "last",
    [StoreUnavailable("refused with status 401"), StoreUnusable("damaged"), ValueError("a token"), RuntimeError("x")],
    ids=lambda error: type(error).__name__,
)
def test_a_later_refusal_does_not_make_an_earlier_try_unwritten(kind: type[Any], last: Exception) -> None:
    """`StoreUnavailable` means that nothing was written: not so if a try before the refused one may have been."""
    lost = Failure("no answer in time", maybe_written=True)
    with pytest.raises(OutcomeUnknown) as unknown:
        appending(kind, [lost, last], "k")()
    assert unknown.value.idempotency_key == "k"
    unsent = Failure("out of reach", maybe_written=False)
    with pytest.raises(type(last)):
        appending(kind, [unsent, last], "k")()


@pytest.mark.parametrize("kind", [HttpStore, AsyncHttpStore])
def test_only_a_conflict_of_versions_settles_an_append_in_doubt(kind: type[Any]) -> None:
    """Versions grow. What is refused for the record of now may be accepted of a try that comes late."""
    lost = Failure("no answer in time", maybe_written=True)
    with pytest.raises(VersionConflict):
        appending(kind, [lost, VersionConflict(1, 2)], "k")()
    with pytest.raises(OutcomeUnknown):
        appending(kind, [lost, InvalidEvent("no")], "k")()


def no_token() -> str:
    """What a rotation gone wrong gives."""
    return ""


@pytest.mark.parametrize("kind", [HttpStore, AsyncHttpStore])
@pytest.mark.parametrize("token", [no_token, lambda: 1 / 0], ids=["empty", "raises"])
def test_a_token_that_is_not_to_be_had_is_no_mistake_of_the_call(kind: type[Any], token: Callable[[], str]) -> None:
    """A `ValueError` would tell a client that its append was refused, also when it repeats one of unknown outcome."""
    store = kind("http://127.0.0.1:1", token=token, deadline=5)

    async def append() -> None:
        """On either face."""
        answer = store.append("u", [e.AccountOpened()], idempotency_key="k")
        if inspect.isawaitable(answer):
            await answer

    with pytest.raises(StoreUnavailable, match="token="):
        asyncio.run(append())


def test_a_last_try_that_was_cut_off_hides_no_cause() -> None:
    """The error names why the attempts before it failed, not that there was no time left for another."""
    attempts = Attempts(60)
    attempts.pause_after(Failure("nothing listens there", maybe_written=False, advice="see that it runs"))
    attempts.until = 0.0
    with pytest.raises(StoreUnavailable, match="nothing listens there: see that it runs"):
        attempts.pause_after(Failure("no answer in time", maybe_written=False, is_late=True))
    with pytest.raises(StoreUnavailable, match="no answer in time: try again"):
        Attempts(0).pause_after(Failure("no answer in time", maybe_written=False, is_late=True))

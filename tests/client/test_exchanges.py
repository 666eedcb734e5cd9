"""Rule 6: a store whose answers lag behind what it has acknowledged, on both faces."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

import pytest

from diijam_consent_sdk import Reason
from diijam_consent_sdk import events as e
from diijam_consent_sdk.errors import StoreUnavailable
from diijam_consent_sdk.stores import Changes, Cursor, Loaded, MemoryStore
from diijam_consent_sdk.stores.protocol import Standings
from diijam_consent_sdk.testing import FaultyStore, LeaseClock
from tests.client.conftest import MAILED, SIGNED_UP, MakeClient, eventually, reason

WITHDRAWN = e.Withdrawn("marketing")
FOLLOWS = pytest.mark.parametrize("follow", [True, False], ids=["following", "not following"])


class Lagging(FaultyStore):
    """A store of which chosen methods answer from an older copy."""

    def __init__(self) -> None:
        super().__init__(MemoryStore())
        self.load_lags: Callable[[], Standings] | None = None
        self.record_lags: Callable[[], Loaded] | None = None
        self.changes_lag: Callable[[Changes], Changes] | None = None
        self.polls: list[tuple[Cursor, float, int]] = []

    def load(self, user_ids: Iterable[str]) -> Loaded:
        """See `Store.load`."""
        loaded = super().load(user_ids)
        return self.record_lags() if self.record_lags else loaded

    def standings(self, user_ids: Iterable[str]) -> Standings:
        """See `Store.standings`."""
        loaded = super().standings(user_ids)
        return self.load_lags() if self.load_lags else loaded

    def changes(self, after: Cursor, *, wait: float, limit: int = 1000) -> Changes:
        """See `Store.changes`."""
        self.polls.append((after, wait, limit))
        changes = super().changes(after, wait=min(wait, 0.05), limit=limit)
        return self.changes_lag(changes) if self.changes_lag else changes

    def confirmed(self) -> list[Cursor]:
        """The heads that were asked for."""
        return [after for after, wait, limit in self.polls if (wait, limit) == (0.0, 1)]


@pytest.fixture
def store() -> Lagging:
    """A store that does not lag yet, with a user who may be mailed."""
    lagging = Lagging()
    lagging.inner.append("u", SIGNED_UP)
    return lagging


@FOLLOWS
def test_loads_that_lag_behind_an_own_withdrawal_give_no_yes(
    make_client: MakeClient, store: Lagging, *, follow: bool
) -> None:
    """However often loads lag in the same epoch, the user is unavailable, and denied for the right reason later."""
    client = make_client(follow=follow)
    assert reason(client.user("u")) is Reason.CONSENTED
    old = store.inner.standings(["u"])
    store.load_lags = lambda: old
    head = client.record("u", WITHDRAWN).cursor
    for _ in range(20):
        assert reason(client.user("u")) is Reason.UNAVAILABLE
    assert head in store.confirmed()
    store.load_lags = None
    assert reason(client.user("u")) is Reason.WITHDRAWN


@FOLLOWS
def test_changes_that_lag_too_give_no_yes_within_b(
    make_client: MakeClient, store: Lagging, clock: LeaseClock, *, follow: bool
) -> None:
    """A client keeps the user's minimum for B although the store denies that the write's head is in its history."""
    client = make_client(follow=follow, clock=clock)
    assert reason(client.user("u")) is Reason.CONSENTED
    old = store.inner.standings(["u"])
    client.record("u", WITHDRAWN)
    store.load_lags = lambda: old
    store.changes_lag = lambda changes: Changes(changes.after, old.cursor, {}, complete=True, waited=0.0)
    for _ in range(20):
        assert reason(client.user("u")) is Reason.UNAVAILABLE
    clock.tick(61)
    assert reason(client.user("u")) is Reason.CONSENTED  # a whole B later it is no lag, but another history


def test_others_stay_as_they_are_while_loads_lag(make_client: MakeClient, store: Lagging) -> None:
    """An answer that lies behind drops nobody."""
    client = make_client(follow=False)
    store.inner.append("v", SIGNED_UP)
    other = client.user("v")
    old = store.inner.standings(["u"])
    client.record("w", e.AccountOpened())
    store.load_lags = lambda: old
    assert reason(client.user("u")) is Reason.UNAVAILABLE
    assert reason(other) is Reason.CONSENTED


@FOLLOWS
def test_a_store_that_went_back_is_found_out_at_the_first_question(
    make_client: MakeClient, store: Lagging, *, follow: bool
) -> None:
    """If an older copy of the same epoch, without the head that was seen, replaces the store, the copy counts."""
    client = make_client(follow=follow, deadline=5)
    assert reason(client.user("u")) is Reason.CONSENTED
    old, record = store.inner.standings(["u"]), store.inner.load(["u"])
    store.inner.append("u", [WITHDRAWN])
    assert client.load("u").version == 3
    store.load_lags, store.record_lags = lambda: old, lambda: record
    store.changes_lag = lambda changes: Changes(changes.after, old.cursor, {}, complete=True, waited=0.0)
    assert client.load("u").version == 2
    assert reason(client.user("u")) is Reason.CONSENTED


def test_whoever_asks_for_a_record_gets_none_that_lies_behind(make_client: MakeClient, store: Lagging) -> None:
    """`load` and `explain` ask once more, then fail: an older record is not fresh."""
    client = make_client(follow=False)
    old = store.inner.load(["u"])
    client.record("u", WITHDRAWN)
    answers = [old]
    store.record_lags = lambda: answers.pop() if answers else store.inner.load(["u"])
    assert client.load("u").version == 3
    store.record_lags = lambda: old
    with pytest.raises(StoreUnavailable, match="lags"):
        client.load("u")
    with pytest.raises(StoreUnavailable, match="lags"):
        client.explain("u", MAILED)


def test_a_user_with_a_token_is_unavailable_while_loads_lag(make_client: MakeClient, store: Lagging) -> None:
    """`at_least` with the token of an own write denies while no load shows the write."""
    client = make_client(follow=False)
    old = store.inner.standings(["u"])
    token = client.record("u", WITHDRAWN).token
    store.load_lags = lambda: old
    assert reason(client.user("u", token)) is Reason.UNAVAILABLE
    store.load_lags = None
    assert reason(client.user("u", token)) is Reason.WITHDRAWN


def test_a_store_that_does_not_say_whether_it_lags_is_out_of_reach(make_client: MakeClient, store: Lagging) -> None:
    """Nothing is dropped and nothing is installed until the confirmation is answered."""
    client = make_client(follow=False)
    store.inner.append("v", SIGNED_UP)
    other = client.user("v")
    old = store.inner.standings(["u"])
    client.record("w", e.AccountOpened())
    store.load_lags = lambda: old

    def away(_: Changes) -> Changes:
        raise StoreUnavailable("out of reach")

    store.changes_lag = away
    assert reason(client.user("u")) is Reason.UNAVAILABLE
    assert reason(other) is Reason.CONSENTED


def test_those_who_meet_it_at_once_ask_once(make_client: MakeClient, store: Lagging) -> None:
    """Loads that lie behind the same head share one confirmation."""
    client = make_client(follow=False, deadline=5)
    old = store.inner.load(["u"])
    client.record("w", e.AccountOpened())
    together = threading.Barrier(4)

    def lagging() -> Loaded:
        together.wait(10)
        return old

    store.record_lags = lagging
    store.hold["changes"] = threading.Event()

    def load() -> None:
        with pytest.raises(StoreUnavailable):
            client.load("u")

    with ThreadPoolExecutor(4) as pool:
        loads = [pool.submit(load) for _ in range(4)]
        assert eventually(lambda: together.n_waiting == 0 and len(store.polls) == 1)
        assert not eventually(lambda: len(store.polls) > 1, within=0.3)
        store.record_lags = lambda: old
        store.hold["changes"].set()
        for done in loads:
            done.result(10)


def test_a_feed_that_lags_is_down(make_client: MakeClient, store: Lagging) -> None:
    """A poll that lags renews nobody, and is repeated after a pause, as in an outage."""
    client = make_client(max_staleness=10, deadline=5)
    assert reason(client.user("u")) is Reason.CONSENTED
    assert eventually(lambda: client.status().feed == "up")
    old = store.inner.load(()).cursor
    client.record("v", e.AccountOpened())
    lies_behind = Changes(old, old, {}, complete=True, waited=0.0)
    store.changes_lag = lambda changes: lies_behind if changes.after == old else changes
    client.load("u")
    if client.status().position == old.position:  # else the feed was quicker than the lag
        assert eventually(lambda: client.status().feed == "down")
        before = len(store.polls)
        assert not eventually(lambda: len(store.polls) > before + 30, within=0.5)
    store.changes_lag = None
    assert eventually(lambda: client.status().feed == "up")

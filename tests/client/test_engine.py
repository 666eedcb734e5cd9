"""The engine's other operations: loading, explaining, closing."""

from __future__ import annotations

import threading
from datetime import datetime, timedelta

import pytest

from diijam_consent_sdk import ConsentClient, Reason, Show
from diijam_consent_sdk import events as e
from diijam_consent_sdk.client.effects import Append
from diijam_consent_sdk.errors import (
    ClientClosed,
    StoreUnavailable,
    StoreUnusable,
)
from diijam_consent_sdk.events import NO_PROVENANCE
from diijam_consent_sdk.record import unopened
from diijam_consent_sdk.stores import Cursor
from diijam_consent_sdk.testing import FaultyStore, WallClock, unreachable
from tests.client.conftest import MAILED, SIGNED_UP, Face, eventually, reason


def test_explain_load_and_history_are_fresh(client: Face, store: FaultyStore) -> None:
    """They call the store each time, and show the evidence."""
    client.record("u", *SIGNED_UP)
    assert reason(client.user("u")) is Reason.CONSENTED
    explained = client.explain("u", MAILED)
    assert explained.decision.allowed
    assert explained.evidence == client.load("u").consents["marketing:email"]
    store.inner.append("u", [e.Withdrawn("marketing")])
    assert client.explain("u", MAILED).decision.reason is Reason.WITHDRAWN
    assert client.explain("u", MAILED).evidence is None
    assert [type(entry.event).__name__ for entry in client.history("u")] == ["AccountOpened", "Granted", "Withdrawn"]
    assert client.load("nobody") == unopened("nobody")
    with pytest.raises(TypeError):
        client.explain("u", "email")  # type: ignore[arg-type]


def test_the_head_is_that_of_the_store(client: Face, store: FaultyStore) -> None:
    """It is the token of the last append, read from the store each time; an empty ledger has a head too."""
    assert Cursor.parse(client.head()) == store.inner.load([]).cursor
    assert Cursor.parse(client.head()).position == 0
    assert client.head() != client.record("u", *SIGNED_UP).token == client.head()
    store.inner.append("u", [e.Withdrawn("marketing")])
    assert Cursor.parse(client.head()).position == 3
    with store.offline(), pytest.raises(StoreUnavailable):
        client.head()
    client.close()
    with pytest.raises(ClientClosed):
        client.head()


def test_explain_answers_as_of_a_past_moment(client: Face, store: FaultyStore, wall: WallClock) -> None:
    """The answer, version and evidence are those of that moment, not of a moment before or after."""
    before = wall.now
    ends = wall.now + timedelta(days=3)
    wall.tick(60)
    client.record("u", SIGNED_UP[0], e.Granted("marketing", "promo", {"email"}, expires_at=ends))
    granted, evidence = wall.now, client.load("u").consents["marketing:email"]
    wall.tick(60)
    client.record("u", e.Withdrawn("marketing"))
    withdrawn = wall.now
    wall.tick(4 * 86_400)

    def told(at: datetime | None) -> tuple[object, ...]:
        explained = client.explain("u", MAILED, at)
        assert explained.as_of == (at or wall.now)
        return str(explained.decision.reason), explained.evidence, explained.version

    assert told(before) == ("unknown_user", None, 0)
    assert told(granted) == ("consented", evidence, 2)
    assert told(withdrawn - timedelta(microseconds=1)) == ("consented", evidence, 2)
    assert told(withdrawn) == told(ends) == told(wall.now) == told(None) == ("withdrawn", None, 3)
    assert client.explain("nobody", MAILED, before).decision.reason is Reason.UNKNOWN_USER


def test_explain_counts_an_end_at_the_past_moment(client: Face, wall: WallClock) -> None:
    """A consent that has run out meanwhile held before its end, and not from its end on."""
    ends = wall.now + timedelta(hours=1)
    client.record("u", SIGNED_UP[0], e.Granted("marketing", "promo", {"email"}, expires_at=ends))
    wall.tick(7200)
    assert client.explain("u", MAILED, ends - timedelta(seconds=1)).decision
    assert client.explain("u", MAILED, ends).decision.reason is Reason.EXPIRED


def test_explain_says_erased_at_every_instant(client: Face, wall: WallClock) -> None:
    """Of an erased user nothing is left to answer from, so every moment has the same answer."""
    signed_up = wall.now
    client.record("u", *SIGNED_UP)
    wall.tick(60)
    client.record("u", e.RequestFiled("r", "erasure"), e.Erased())
    wall.tick(60)
    for at in (signed_up - timedelta(days=1), signed_up, wall.now, None):
        explained = client.explain("u", MAILED, at)
        assert (explained.decision.reason, explained.version) == (Reason.ERASED, 4)


@pytest.mark.parametrize(
    ("at", "error"),
    [
        (datetime(2026, 3, 3, 12), ValueError),  # noqa: DTZ001 - naive, to be refused
        ("2026-03-03T12:00:00+07:00", TypeError),
    ],
)
def test_explain_refuses_a_moment_before_it_asks(
    client: Face, store: FaultyStore, at: datetime, error: type[Exception]
) -> None:
    """A naive time and another type are refused at once."""
    with pytest.raises(error):
        client.explain("u", MAILED, at)
    assert store.calls == []


def test_explain_refuses_the_future(client: Face, wall: WallClock) -> None:
    """Nobody knows what will be said until then; the store's clock decides what the future is."""
    client.record("u", *SIGNED_UP)
    with pytest.raises(ValueError, match="at is in the future"):
        client.explain("u", MAILED, wall.now + timedelta(microseconds=1))


def test_explain_trusts_no_history_that_lags(client: Face, store: FaultyStore, wall: WallClock) -> None:
    """A history that lacks entries of the record would hide a no, so it is no answer."""
    client.record("u", *SIGNED_UP, e.Withdrawn("marketing"))
    inner = store.inner.history
    store.inner.history = lambda user_id: inner(user_id)[:2]  # type: ignore[method-assign]
    with pytest.raises(StoreUnavailable, match="lags"):
        client.explain("u", MAILED, wall.now)


def test_explain_load_and_history_raise_what_the_store_does(client: Face, store: FaultyStore) -> None:
    """They are not guards: an outage, a late answer and a wrong one raise, within the deadline."""
    store.broken = unreachable()
    for ask in (lambda: client.load("u"), lambda: client.history("u"), lambda: client.explain("u", Show("avatar"))):
        with pytest.raises(StoreUnavailable):
            ask()
    store.broken = None
    store.alter = {"records": (unopened("v"),)}
    with pytest.raises(StoreUnusable):
        client.load("u")
    store.hold["load"] = threading.Event()
    with pytest.raises(StoreUnavailable, match=r"within 0\.5 s"):
        client.load("u")


def test_a_closed_client_denies_and_refuses(client: Face, store: FaultyStore) -> None:
    """After `close` guards deny with `UNAVAILABLE`, operations raise, and closing again does nothing."""
    store.inner.append("u", SIGNED_UP)
    user = client.user("u")
    client.close()
    client.close()
    assert reason(user) is Reason.UNAVAILABLE
    assert reason(client.user("u")) is Reason.UNAVAILABLE
    assert list(client.permitted(["u"], MAILED)) == []
    for ask in (
        lambda: client.load("u"),
        lambda: client.history("u"),
        lambda: client.explain("u", MAILED),
        lambda: client.record("u", e.AccountClosed()),
    ):
        with pytest.raises(ClientClosed):
            ask()
    assert "close" not in store.calls


def test_a_closed_client_makes_no_call(client: Face, store: FaultyStore) -> None:
    """With a token too, a closed client denies at once, from memory."""
    token = client.record("u", *SIGNED_UP).token
    client.close()
    asked = len(store.calls)
    assert reason(client.user("u", at_least=token)) is Reason.UNAVAILABLE
    assert len(store.calls) == asked


def interrupted(*_: object) -> None:
    """Ctrl-C."""
    raise KeyboardInterrupt


def test_the_store_is_closed_although_close_was_interrupted(store: FaultyStore) -> None:
    """Ctrl-C while `close` waits for a write does not leave the store open."""
    client = ConsentClient(store, follow=False, deadline=5)
    client._owns_store = True

    store.hold["append"] = threading.Event()
    client._own_engine._writes.begin(Append("u", SIGNED_UP, None, "k", NO_PROVENANCE))
    assert eventually(lambda: bool(client._own_engine._writes))
    client._runner._perform = interrupted  # type: ignore[method-assign, assignment]
    with pytest.raises(KeyboardInterrupt):
        client.close()
    store.hold["append"].set()
    assert "close" in store.calls

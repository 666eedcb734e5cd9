"""The engine's other operations: loading, explaining, closing."""

from __future__ import annotations

import threading

import pytest

from diijam_consent_sdk import ConsentClient, Reason, Show
from diijam_consent_sdk import events as e
from diijam_consent_sdk.errors import (
    ClientClosed,
    StoreUnavailable,
    StoreUnusable,
)
from diijam_consent_sdk.record import unopened
from diijam_consent_sdk.testing import FaultyStore, unreachable
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
    client._own_engine._writes.begin("u", SIGNED_UP, None, "k")
    assert eventually(lambda: bool(client._own_engine._writes))
    client._runner._perform = interrupted  # type: ignore[method-assign, assignment]
    with pytest.raises(KeyboardInterrupt):
        client.close()
    store.hold["append"].set()
    assert "close" in store.calls

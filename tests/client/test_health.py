"""A client's health: its status and its log lines."""

from __future__ import annotations

import pytest
import structlog

from diijam_consent_sdk import Reason
from diijam_consent_sdk.errors import (
    StoreUnavailable,
)
from diijam_consent_sdk.events import AccountOpened
from diijam_consent_sdk.testing import FaultyStore, unreachable
from tests.client.conftest import SIGNED_UP, MakeClient, eventually


def test_status_shows_how_the_client_is_doing(make_client: MakeClient, store: FaultyStore) -> None:
    """Counts, the feed, its age and readiness are right at first, in health, in an outage and at the end."""
    client = make_client(max_staleness=1)
    status = client.status()
    assert (status.ready, status.feed, status.hits, status.misses, status.position) == (False, "off", 0, 0, None)
    store.inner.append("u", SIGNED_UP)
    for _ in range(3):
        client.user("u").can_market("email")
    client.user("u").can_market("call")
    assert eventually(lambda: client.status().feed == "up")
    status = client.status()
    assert (status.hits, status.misses, status.users, status.position) == (3, 1, 1, 2)
    assert status.denials == {Reason.NOT_CONSENTED: 1}
    assert status.ready
    assert status.age_seconds is not None
    assert status.age_seconds < 1
    assert status.feed_since is not None
    store.broken = unreachable()
    assert eventually(lambda: client.status().feed == "down")
    assert not client.status().ready
    client.close()
    assert (client.status().ready, client.status().feed) == (False, "off")


def test_only_loads_and_polls_for_guards_count(make_client: MakeClient, store: FaultyStore) -> None:
    """A client that only writes and reads records is not ready, and its errors are raised and not reported."""
    client = make_client()
    client.record("u-1", AccountOpened())
    client.load("u-1")
    client.head()
    store.broken = unreachable()
    with pytest.raises(StoreUnavailable):
        client.load("u-1")
    assert (client.status().ready, client.status().last_error, client.status().feed) == (False, None, "off")


def test_a_client_whose_store_was_never_there_is_not_ready(make_client: MakeClient, store: FaultyStore) -> None:
    """A client is not ready before its first exchange, nor if that failed; the first success makes it ready."""
    store.broken = unreachable()
    client = make_client()
    assert not client.status().ready
    assert client.user("u").can_market("email").reason is Reason.UNAVAILABLE
    assert not client.status().ready
    store.broken = None
    assert client.user("u").can_market("email").reason is Reason.UNKNOWN_USER
    assert client.status().ready


def test_status_and_the_log_show_why_the_store_is_unreachable(make_client: MakeClient, store: FaultyStore) -> None:
    """`last_error` quotes the library's errors in one short line, and of foreign errors gives the class; then None."""
    client = make_client(follow=False)
    assert client.status().last_error is None
    cause = ("away [2J " + "x" * 500)[:500]
    with structlog.testing.capture_logs() as lines:
        store.broken = StoreUnavailable("away\x1b[2J\n" + "x" * 9_000)
        client.user("u")
        assert eventually(lambda: client.status().last_error == cause)
        assert [line["cause"] for line in lines if line["event"] == "store.unreachable"] == [cause]
    store.broken = RuntimeError("no such customer: nguyen-van-a")
    client.user("u")
    assert eventually(lambda: client.status().last_error == "RuntimeError")
    store.broken = None
    client.user("u")
    assert client.status().last_error is None

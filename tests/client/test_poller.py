"""The poller keeps users fresh, and comes back after outages."""

from __future__ import annotations

import threading
import time

from diijam_consent_sdk import ConsentClient, Reason
from diijam_consent_sdk import events as e
from diijam_consent_sdk.testing import FaultyStore, LeaseClock, unreachable
from tests.client.conftest import SIGNED_UP, AsyncFace, MakeClient, eventually, reason


def test_a_poll_brings_what_another_process_wrote(make_client: MakeClient, store: FaultyStore) -> None:
    """With polling, a change of another process reaches a cached user at once."""
    client = make_client()
    store.inner.append("u", SIGNED_UP)
    user = client.user("u")
    assert reason(user) is Reason.CONSENTED
    store.inner.append("u", [e.Withdrawn("marketing")])
    assert eventually(lambda: reason(user) is Reason.STALE, within=1)
    assert reason(client.user("u")) is Reason.WITHDRAWN


def test_polling_keeps_everybody_fresh(make_client: MakeClient, store: FaultyStore, clock: LeaseClock) -> None:
    """Once a poll was answered, users that did not change outlive their own leases without a load."""
    client = make_client(clock=clock, max_staleness=1)
    store.inner.append("u", SIGNED_UP)
    user = client.user("u")
    for _ in range(4):
        clock.tick(0.5)
        polls = store.calls.count("changes")
        assert eventually(lambda polls=polls: store.calls.count("changes") > polls + 1)  # type: ignore[misc]
        assert reason(user) is Reason.CONSENTED
    assert store.loaded == [("u",)]


def test_polling_resumes_after_an_outage(make_client: MakeClient, store: FaultyStore) -> None:
    """Polling goes on after an outage, and a change during the outage is not lost."""
    client = make_client(max_staleness=1)
    store.inner.append("u", SIGNED_UP)
    user = client.user("u")
    store.broken = unreachable()
    assert eventually(lambda: reason(user) is Reason.STALE, within=3)
    assert reason(client.user("u")) is Reason.UNAVAILABLE
    store.inner.append("u", [e.Withdrawn("marketing")])
    store.broken = None
    assert eventually(lambda: reason(client.user("u")) is Reason.WITHDRAWN)


def test_polling_finds_the_first_head_by_itself(make_client: MakeClient, store: FaultyStore) -> None:
    """A client whose first load failed still comes to poll the feed."""
    client = make_client(max_staleness=1)
    store.broken = unreachable()
    assert reason(client.user("u")) is Reason.UNAVAILABLE
    store.broken = None
    assert eventually(lambda: "changes" in store.calls)


def test_a_deadline_of_centuries_is_one(store: FaultyStore) -> None:
    """A deadline longer than system clocks can wait works as the longest that they can."""
    with ConsentClient(store, deadline=1e15, max_staleness=1e15) as consent:
        consent.record("u", *SIGNED_UP)
        assert consent.can_market("u", "email")
        assert eventually(lambda: store.calls.count("changes") == 2)
        time.sleep(0.1)
        assert consent.status().feed == "up"


class Ended(BaseException):
    """What nothing in the engine catches."""


def test_a_poller_that_ended_is_started_again(make_client: MakeClient, store: FaultyStore) -> None:
    """Whatever ends the poller, such as an application that cancels all tasks, the next exchange starts another."""
    client = make_client()
    engine = client.client._own_engine if isinstance(client, AsyncFace) else client._own_engine
    store.hold["changes"] = threading.Event()
    client.user("u")
    assert eventually(lambda: "changes" in store.calls)
    store.broken_after = Ended()  # type: ignore[assignment]
    store.hold.pop("changes").set()
    assert eventually(lambda: engine._poller._worker is None)
    assert client.status().feed == "down"
    store.broken_after = None
    client.user("v")
    assert eventually(lambda: client.status().feed == "up")

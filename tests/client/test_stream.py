"""A client follows the feed as a stream where the store has one, and by single polls where that goes wrong."""

from __future__ import annotations

import gc
import threading

import attrs
import pytest

from diijam_consent_sdk import ConsentClient, Reason
from diijam_consent_sdk import events as e
from diijam_consent_sdk.client import stream
from diijam_consent_sdk.client.stream import FeedStream
from diijam_consent_sdk.errors import StoreUnavailable
from diijam_consent_sdk.stores import Changes, Cursor
from diijam_consent_sdk.testing import LeaseClock
from tests.client.conftest import SIGNED_UP, Face, MakeClient, eventually, reason
from tests.client.streaming import Streaming

WITHDRAWN = e.Withdrawn("marketing")
CUT = StoreUnavailable("cut")


@pytest.fixture
def store() -> Streaming:
    """A store that streams, with a user who may be mailed."""
    streaming = Streaming()
    streaming.inner.append("u", SIGNED_UP)
    return streaming


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Streams are tried again within a test's patience."""
    monkeypatch.setattr(stream, "FIRST_PAUSE_SECONDS", 0.1)


def following(client: Face) -> bool:
    """Whether the feed comes as a stream."""
    return client.status().is_streaming


def started(make_client: MakeClient, store: Streaming, **options: object) -> Face:
    """A client that knows the user, and follows a stream."""
    client = make_client(store, **options)
    assert reason(client.user("u")) is Reason.CONSENTED
    assert eventually(lambda: following(client))
    return client


def test_a_stream_brings_what_another_process_wrote(make_client: MakeClient, store: Streaming) -> None:
    """A withdrawal reaches a cached user at once, without a single poll."""
    client = started(make_client, store)
    user = client.user("u")
    store.inner.append("u", [WITHDRAWN])
    assert eventually(lambda: reason(user) is Reason.STALE, within=1)
    assert reason(client.user("u")) is Reason.WITHDRAWN
    assert "changes" not in store.calls
    assert len(store.streams) == 1


def test_what_a_stream_is_asked_with(make_client: MakeClient, store: Streaming) -> None:
    """It waits for 240 to 300 s, and beats at least once in B/4 and once a minute; silence is judged by L."""
    for bound, deadline, beat, silence in (
        (60.0, 1.0, 15.0, 16.0),
        (1.0, 1.0, 0.25, 0.4945),
        (1000.0, 1.0, 60.0, 61.0),
    ):
        started(make_client, store, max_staleness=bound, deadline=deadline)
        asked = store.streams[-1][0]
        assert 240 <= asked.wait <= 300
        assert asked.beat == beat
        assert asked.silence == pytest.approx(silence)
    clients = {asked.client for asked, _ in store.streams}
    assert len(clients) == 3


def test_parts_without_news_keep_everybody_fresh(make_client: MakeClient, store: Streaming, clock: LeaseClock) -> None:
    """Users that did not change outlive their own leases without a load."""
    client = started(make_client, store, clock=clock, max_staleness=1)
    user = client.user("u")
    for _ in range(4):
        clock.tick(0.4)
        age = client.status().age_seconds
        assert eventually(lambda age=age: client.status().age_seconds < age)  # type: ignore[misc]
        assert reason(user) is Reason.CONSENTED
    assert store.loaded == [("u",)]


def test_a_stream_that_fails_gives_way_to_single_polls(make_client: MakeClient, store: Streaming) -> None:
    """The feed stays up, a withdrawal is seen, and a stream is tried again later, by the same client."""
    client = started(make_client, store)
    store.stream_error = CUT
    assert eventually(lambda: not following(client))
    assert client.status().feed == "up"
    user = client.user("u")
    store.inner.append("u", [WITHDRAWN])
    assert eventually(lambda: reason(user) is Reason.STALE, within=1)
    store.stream_error = None
    assert eventually(lambda: following(client))
    assert len({asked.client for asked, _ in store.streams}) == 1
    assert store.open_streams() == 1


def test_a_client_that_never_has_a_stream_polls(make_client: MakeClient, store: Streaming) -> None:
    """Behind a proxy that holds parts back, single polls keep the feed up; nobody is told of an outage."""
    store.stream_error = CUT
    client = make_client(store, max_staleness=2)
    assert reason(client.user("u")) is Reason.CONSENTED
    assert eventually(lambda: len(store.streams) > 3)
    assert (client.status().feed, following(client), client.status().last_error) == ("up", False, None)
    assert store.calls.count("changes") >= len(store.streams) - 1


def test_a_stream_that_ends_is_followed_by_the_next(make_client: MakeClient, store: Streaming) -> None:
    """At the end of its time a stream that worked is followed by another at once, from where it ended."""
    client = started(make_client, store, max_staleness=1)
    store.inner.append("u", [WITHDRAWN])
    assert eventually(lambda: client.status().position == 3)
    assert not eventually(lambda: len(store.streams) > 1, within=0.5)
    store.ends.set()
    assert eventually(lambda: store.open_streams() == 0)
    store.ends.clear()
    assert eventually(lambda: len(store.streams) > 1 and following(client))
    assert store.streams[-1][0].after.position == 3


def wrong_hash(part: Changes) -> Changes:
    """A part from another history's place."""
    return attrs.evolve(part, after=attrs.evolve(part.after, hash="00"))


def wrong_position(part: Changes) -> Changes:
    """A part from a place before."""
    return attrs.evolve(part, after=attrs.evolve(part.after, position=part.after.position - 1))


def past_its_page(part: Changes) -> Changes:
    """A part that contradicts itself."""
    return attrs.evolve(part, user_ids={"u": part.cursor.position + 1})


@pytest.mark.parametrize("alter", [wrong_hash, wrong_position, past_its_page])
def test_a_part_that_is_not_right_renews_moves_and_drops_nothing(
    make_client: MakeClient, store: Streaming, clock: LeaseClock, alter: object
) -> None:
    """It ends its stream; only the single poll that follows counts."""
    client = started(make_client, store, clock=clock)
    store.hold["changes"] = threading.Event()  # single polls are not answered
    store.alter_part = alter  # type: ignore[assignment]
    store.inner.append("v", SIGNED_UP)
    assert eventually(lambda: store.open_streams() == 0)
    assert client.status().position == 2
    store.alter_part = lambda part: part
    store.hold.pop("changes").set()
    assert eventually(lambda: client.status().position == 4)


def test_another_history_ends_the_stream(make_client: MakeClient, store: Streaming) -> None:
    """A new generation cuts the stream that was asked for in the one before; the next one begins at its head."""
    started(make_client, store)
    head = Cursor("another", 7, "aa")
    store.alter_part = lambda part: attrs.evolve(part, cursor=head, user_ids={})
    store.inner.append("u", [WITHDRAWN])
    assert eventually(lambda: len(store.streams) > 1 or "changes" in store.calls)
    assert store.streams[0][1].closed.is_set()
    store.alter_part = lambda part: part


def test_a_close_ends_the_stream_at_once(make_client: MakeClient, store: Streaming) -> None:
    """Nobody waits for the next part, and nothing is left behind."""
    client = started(make_client, store)
    client.close()
    assert eventually(lambda: store.open_streams() == 0, within=1)
    assert not client.status().is_streaming
    assert not eventually(lambda: len(store.streams) > 1, within=0.3)


def test_a_client_that_nobody_closed_ends_its_stream(store: Streaming) -> None:
    """Its stream ends at the next part."""
    client = ConsentClient(store, max_staleness=1)
    assert client.can_market("u", "email")
    assert eventually(lambda: len(store.streams) == 1)
    del client
    gc.collect()
    assert eventually(lambda: store.open_streams() == 0, within=2)


def test_heads_are_confirmed_four_at_a_time(
    make_client: MakeClient, store: Streaming, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Loads at ten heads that the stream went past cost four questions in B/4, however many parts come."""
    client = started(make_client, store, max_staleness=8)
    held = threading.Event()

    def late(part: Changes) -> Changes:
        held.wait(5)
        return part

    store.alter_part = late
    for number in range(10):
        store.inner.append(f"v{number}", SIGNED_UP)
        client.user(f"v{number}")
    held.set()
    assert eventually(lambda: client.status().position == 22)
    assert eventually(lambda: store.calls.count("changes") == 4)
    for number in range(10):
        store.inner.append(f"w{number}", SIGNED_UP)
        assert eventually(lambda number=number: client.status().position == 24 + 2 * number)  # type: ignore[misc]
    assert store.calls.count("changes") == 4
    assert eventually(lambda: store.calls.count("changes") > 4, within=4)


class Times:
    """`time`, standing still."""

    def monotonic(self) -> float:
        """The instant."""
        return 0.0


def test_pauses_double_and_begin_again_with_what_works(
    monkeypatch: pytest.MonkeyPatch, make_client: MakeClient, store: Streaming
) -> None:
    """From 1 to 300 s, each shortened by up to half; a stream that lasted longer than its pause begins them again."""
    client = make_client(store, follow=False)
    face = client if isinstance(client, ConsentClient) else client.client
    streams = FeedStream(face._engine._exchanges, lambda: None)
    monkeypatch.setattr(stream, "FIRST_PAUSE_SECONDS", 1.0)
    monkeypatch.setattr(stream, "time", Times())

    def pause_after(lasted: float, *, is_at_end: bool = False) -> float:
        """The pause after a stream, without its jitter."""
        streams._lasted = lasted
        streams._plan_next(is_at_end=is_at_end)
        due_in = streams.seconds_until_due()
        assert due_in == 0 or streams._pause / 2 <= due_in <= streams._pause
        return streams._pause if due_in else 0.0

    assert [pause_after(0.0) for _ in range(11)] == [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]
    assert pause_after(299.0) == 300
    assert pause_after(300.0) == 1
    assert pause_after(0.5, is_at_end=True) == 2
    assert pause_after(2.0, is_at_end=True) == 0

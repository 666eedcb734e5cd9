"""Each rule of the service's streams switched off, one at a time: the test of that rule has to fail."""

from __future__ import annotations

from collections.abc import Callable
from inspect import signature
from typing import Any

import pytest

from diijam_consent_sdk.errors import ConsentError, StoreUnavailable
from diijam_consent_sdk.service.feed import ChangeFeed
from diijam_consent_sdk.service.parts import Part
from diijam_consent_sdk.service.stream import Stream
from diijam_consent_sdk.service.streams import Look, Place, Streams
from diijam_consent_sdk.stores import Changes
from tests.service import test_feed
from tests.service import test_parts as rules
from tests.service.fakes import FaultyStore

FAILURES = (AssertionError, TimeoutError, ConsentError)
_init, _give, _put_off, _stop = Part.__init__, Stream.give, Streams._put_off, Streams.stop


async def clock_read_after_the_look(self: ChangeFeed, key: Place) -> Look:
    """Read the clock when the store has answered."""
    del self._looks[key]
    found = await self._store.changes(*key)
    return self._clock(), found


async def look_under_way_joined(self: ChangeFeed, key: Place) -> Look:
    """Let requests join a look until it ends."""
    began = self._clock()
    try:
        return began, await self._store.changes(*key)
    finally:
        del self._looks[key]


def upstreams_wait_counted(self: Part, looked_at: float, found: Changes) -> None:
    """Count what the store says that it waited."""
    _init(self, looked_at + found.waited, found)


def empty_looks_given(self: Stream, part: Part, now: float) -> None:
    """Make a part of each look, with news or without."""
    self._beat_at = 0.0
    _give(self, part, now)


def news_during_a_look_forgotten(self: Stream, part: Part, now: float) -> None:
    """Take what a look found for the newest there is."""
    _give(self, part, now)
    self.has_news = False


def parts_without_a_look(self: Streams, stream: Stream, error: Exception) -> None:
    """Make a part that rests on nothing while the store is away."""
    if stream.is_new:
        _put_off(self, stream, error)
        return
    stream._beat_at = 0.0
    nothing = Changes(stream.cursor, stream.cursor, {}, complete=True, waited=0.0)
    stream.give(Part(self._clock(), nothing), self._clock())


def every_error_an_outage(self: Streams, stream: Stream, error: Exception) -> None:
    """Wait for a broken ledger as for a store that is away."""
    _put_off(self, stream, error if stream.is_new else StoreUnavailable(type(error).__name__))


def stop_forgotten(self: Streams) -> None:
    """Forget the stop."""
    _stop(self)
    self._is_stopped = False


MUTANTS: dict[str, tuple[type, str, Callable[..., Any], Callable[..., None]]] = {
    "clock read after the look": (
        ChangeFeed, "_start_look", clock_read_after_the_look,
        rules.test_a_look_that_began_before_the_request_is_no_part_for_it,
    ),
    "look under way joined": (
        ChangeFeed, "_start_look", look_under_way_joined,
        rules.test_a_look_that_began_before_the_request_is_no_part_for_it,
    ),
    "upstream's wait counted": (
        Part, "__init__", upstreams_wait_counted, rules.test_waited_is_what_this_service_measured_alone,
    ),
    "empty looks given": (Stream, "give", empty_looks_given, rules.test_a_look_in_vain_is_no_part),
    "news during a look forgotten": (
        Stream, "give", news_during_a_look_forgotten, rules.test_news_during_a_look_is_not_missed,
    ),
    "a part without a look": (
        Streams, "_put_off", parts_without_a_look, rules.test_a_store_that_is_away_gives_no_part,
    ),
    "every error an outage": (Streams, "_put_off", every_error_an_outage, rules.test_a_broken_ledger_ends_streams),
    "streams begin after a stop": (
        Streams, "stop", stop_forgotten, rules.test_a_stop_ends_streams_and_new_ones_get_one_part,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", MUTANTS)
def test_a_rule_that_is_switched_off_is_noticed(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The test of the rule fails, within seconds."""
    kind, method, mutant, rule = MUTANTS[name]
    monkeypatch.setattr(kind, method, mutant)
    monkeypatch.setattr(test_feed, "PATIENCE_SECONDS", 2.0)
    fixtures = [monkeypatch] if "monkeypatch" in signature(rule).parameters else []
    with pytest.raises(FAILURES):
        rule(FaultyStore(), *fixtures)

"""Each rule of "A poll in parts" switched off, one at a time: what the simulator has to notice."""

from __future__ import annotations

from math import inf
from typing import Any

from diijam_consent_sdk.cache.in_flight import Poll
from diijam_consent_sdk.cache.installs import CLOCK_RATE
from diijam_consent_sdk.cache.leases import Leases
from diijam_consent_sdk.client.effects import Effects
from diijam_consent_sdk.client.exchanges import Exchanges
from diijam_consent_sdk.client.poller import OnPoll
from diijam_consent_sdk.client.stream import FeedStream
from diijam_consent_sdk.errors import StoreUnavailable
from diijam_consent_sdk.stores import messages, wire
from diijam_consent_sdk.stores.http.exchange import Exchange
from diijam_consent_sdk.stores.http.parts import Parts
from diijam_consent_sdk.stores.protocol import Changes, Cursor
from tests.simulator.streams import ServiceStream

_apply, _polled, _seconds = Exchanges.apply, Leases.finish_poll, Parts.seconds


def any_nonce(self: Exchange, nonce: str, body: bytes) -> Any:
    return self.read(wire.read(body, self.answer))


def any_after(self: Parts, answer: messages.ChangesAnswer) -> Changes:
    return answer.result()


def any_place(self: Leases, poll: Poll, changes: Changes, now: float) -> bool:
    if poll.generation is self._history.generation:
        self.applied = poll.after = changes.after
    return _polled(self, poll, changes, now)


def wherever_the_feed_is(self: Leases, poll: Poll, changes: Changes, now: float) -> bool:
    if poll.generation is self._history.generation:
        self.applied = poll.after
    return _polled(self, poll, changes, now)


def from_arrival(self: Leases, poll: Poll, changes: Changes, now: float) -> bool:
    sent_at, poll.sent_at = poll.sent_at, now - changes.waited * CLOCK_RATE
    try:
        return _polled(self, poll, changes, now)
    finally:
        poll.sent_at = sent_at


def any_generation(self: Leases, poll: Poll, changes: Changes, now: float) -> bool:
    poll.generation = self._history.generation
    return _polled(self, poll, changes, now)


def never_cut(self: Exchanges, poll: Poll, changes: Changes) -> Effects[bool]:
    try:
        yield from _apply(self, poll, changes)
    except StoreUnavailable:
        return True
    return True


def no_deadline(self: Parts, now: float) -> float:
    seconds = _seconds(self, now)
    return seconds if self._has_begun else self.exchange.wait


def no_silence(self: Parts, now: float) -> float:
    seconds = _seconds(self, now)
    return self.exchange.wait if self._has_begun else seconds


def nothing_seen_since(self: Poll, cursor: Cursor, now: float, latest_head: Cursor | None) -> None:
    self.after = cursor


def streams_only(exchanges: Exchanges, on_poll: OnPoll, stream: FeedStream | None) -> Effects[None]:
    while not exchanges.leases.closed and stream is not None:
        yield from stream.follow()


def no_pause(self: FeedStream, *, is_at_end: bool) -> None:
    self._due_at = -inf


def short_pause(self: FeedStream, *, is_at_end: bool) -> None:
    _plan_next(self, is_at_end=is_at_end)
    self._pause = 0.0


_plan_next = FeedStream._plan_next


def clock_after_the_look(self: ServiceStream, looked_at: float) -> float:
    return (self.ledger.loop.now - self.arrived) * self.ledger.clock_rate

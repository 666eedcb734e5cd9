"""The simulated store: a ledger that keeps every duty of stores/protocol.py, in virtual time."""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections.abc import Callable, Sequence
from datetime import datetime
from random import Random
from typing import TYPE_CHECKING

import attrs

from diijam_consent_sdk.errors import InvalidEvent, KeyReused, StoreUnavailable, VersionConflict
from diijam_consent_sdk.events import NO_PROVENANCE, Event, LedgerEntry, Provenance, takes_away
from diijam_consent_sdk.record import ConsentRecord, fold, refusal, unopened
from diijam_consent_sdk.standing import View, standing_of
from diijam_consent_sdk.stores.protocol import Appended, Changes, Cursor, Loaded, StandingRow, Standings
from diijam_consent_sdk.stores.standings import encode_standing
from tests.simulator.committed import Committed
from tests.simulator.loop import Loop
from tests.simulator.views import Views
from tests.simulator.wall import WallClock, instant

if TYPE_CHECKING:
    from tests.simulator.streams import ServiceStream

Answer = Callable[[object], None]  # takes the answer, or an exception


@attrs.define(eq=False)
class Branch:
    """One unbroken history; a restore or a new epoch begins another."""

    number: int
    epoch: str
    hashes: list[str] = attrs.field(factory=lambda: ["genesis"])
    changed: list[ConsentRecord] = attrs.field(factory=list)  # the record each entry made
    times: list[float] = attrs.field(factory=list)  # when each was committed
    began_with: int = 0  # entries
    keys: dict[tuple[str, str, tuple[Event, ...]], Appended] = attrs.field(factory=dict)

    def head(self) -> Cursor:
        """The cursor of its last entry."""
        return Cursor(self.epoch, len(self.changed), self.hashes[-1])

    def cursor(self, position: int) -> Cursor:
        """The cursor of an entry."""
        return Cursor(self.epoch, position, self.hashes[position])

    def position_at(self, time: float) -> int:
        """The last entry committed by then, in this history."""
        return max(self.began_with, bisect_right(self.times, time))

    def holds(self, position: int, chain: str) -> bool:
        """Whether the entry with this chain hash is part of this history."""
        return position < len(self.hashes) and self.hashes[position] == chain


@attrs.frozen
class SimLoaded(Loaded):
    """A load's answer that tells the checks where it came from, and what the client's clock showed when it was sent."""

    branch: Branch
    sent: float = 0.0


@attrs.frozen
class SimStandings(Standings):
    """The same of standings."""

    branch: Branch
    sent: float = 0.0


@attrs.frozen
class SimChanges(Changes):
    """A poll's answer that tells the checks when it was sent."""

    sent: float = 0.0


@attrs.define(eq=False)
class Poller:
    """A poll that waits for news."""

    after: Cursor
    began: float
    until: float
    limit: int
    lag: float
    answer: Answer


@attrs.frozen
class Lag:
    """Answers from some seconds ago: from a copy that is behind. A share of them, as of several copies."""

    loads: float = 0.0
    changes: float = 0.0
    until: float = 0.0
    share: float = 1.0


class Ledger:
    """Load, append and changes, over true committed state; restarts, new epochs and restores."""

    def __init__(self, loop: Loop, random: Random, reach: float, page: int) -> None:
        self.wall = WallClock(loop)
        self.committed = Committed(self.wall, reach)
        self.page = page
        self.lag = Lag()
        self.views = Views(loop, random, reach)
        self.keeps_standings_until = 0.0
        self._written_at: dict[tuple[str, int], datetime] = {}
        self._lagged: list[Lag] = []
        self._reach = reach
        self.clock_rate = random.uniform(0.9995, 1.0005)
        self.branches = 0
        self.loop = loop
        self.random = random
        self._pollers: list[Poller] = []
        self.streams: list[ServiceStream] = []
        self.records: dict[str, ConsentRecord] = {}
        self.branch = self._new_branch()

    def _new_branch(self, epoch: str | None = None) -> Branch:
        self.branches += 1
        return Branch(self.branches, epoch or f"epoch{self.branches}")

    def load(self, user_ids: Sequence[str]) -> SimLoaded:
        """See `Store.load`."""
        return self.load_as_of(self.branch.position_at(self.loop.now - self._lag(self.lag.loads)), user_ids)

    def load_as_of(self, position: int, user_ids: Sequence[str]) -> SimLoaded:
        """What a load gives whose state is that after the entry at *position*."""
        then = {record.user_id: record for record in self.branch.changed[:position]}
        records = tuple(then.get(user_id) or unopened(user_id) for user_id in user_ids)
        return SimLoaded(self.branch.cursor(position), instant(self.wall.at()), records, self.branch)

    def standings(self, user_ids: Sequence[str]) -> SimStandings:
        """See `Store.standings`."""
        return self.standings_as_of(self.branch.position_at(self.loop.now - self._lag(self.lag.loads)), user_ids)

    def standings_as_of(self, position: int, user_ids: Sequence[str]) -> SimStandings:
        """What `standings` gives of the state after the entry at *position*."""
        loaded, view = self.load_as_of(position, user_ids), self.views.current()
        rows = tuple(self._row(record, loaded.at, view) for record in loaded.records)
        return SimStandings(loaded.cursor, loaded.at, view, rows, loaded.branch)

    def _row(self, record: ConsentRecord, at: datetime, view: View) -> StandingRow:
        if self.loop.now < self.keeps_standings_until:  # made when the record was written, and not again after an end
            at = self._written_at.get((record.user_id, record.version), at)
        standing = standing_of(record, at).narrowed(view)
        return StandingRow(record.user_id, record.version, encode_standing(standing))

    def begin_lag(self, lag: Lag) -> None:
        """From now on some answers are from some time ago, until `lag.until`."""
        self.end_lag()
        self.lag = lag

    def end_lag(self) -> None:
        """From now on every answer is of the state when it is given."""
        self._lagged.append(attrs.evolve(self.lag, until=min(self.lag.until, self.loop.now)))
        self._lagged = [lag for lag in self._lagged if self.loop.now < lag.until + 2 * self._reach]
        self.lag = Lag()

    @property
    def longest_lag(self) -> float:
        """How far behind what a lease rests on may have been: that much longer the promise lasts, and no more."""
        felt = (lag for lag in (self.lag, *self._lagged) if self.loop.now < lag.until + 2 * self._reach)
        return max((max(lag.loads, lag.changes) for lag in felt), default=0.0)

    def _lag(self, seconds: float) -> float:
        if not seconds or self.loop.now >= self.lag.until:
            return 0.0
        return seconds if self.random.random() < self.lag.share else 0.0

    def append(
        self,
        user_id: str,
        events: tuple[Event, ...],
        expected_version: int | None,
        idempotency_key: str,
        provenance: Provenance = NO_PROVENANCE,
    ) -> Appended:
        """See `Store.append`."""
        known = self.branch.keys.get((user_id, idempotency_key, events))
        if known is not None:
            return attrs.evolve(known, is_repeat=True)
        is_used = any(used[:2] == (user_id, idempotency_key) for used in self.branch.keys)
        if is_used and not takes_away(events):
            raise KeyReused("this idempotency_key was used with other events")
        record = self.records.get(user_id) or unopened(user_id)
        if expected_version is not None and expected_version != record.version:
            raise VersionConflict(expected_version, record.version)
        at = instant(self.wall.at())
        made: list[ConsentRecord] = []
        for event in events:
            if refusal(record, event, at, provenance=provenance) is not None:
                raise InvalidEvent("refused")
            position = len(self.branch.changed) + len(made) + 1
            record = fold(record, LedgerEntry(position, user_id, record.version + 1, at, event, provenance))
            made.append(record)
            self._written_at[user_id, record.version] = at
        for each in made:
            salt = f"{self.branch.hashes[-1]}{self.branch.number}{self.random.random()}"
            self.branch.hashes.append(hashlib.blake2b(salt.encode(), digest_size=8).hexdigest())
            self.branch.changed.append(each)
            self.branch.times.append(self.loop.now)
        self.records[user_id] = record
        self.committed.commit(record, self.loop.now)
        appended = Appended(self.branch.head(), record.version, is_repeat=False, record=record)
        self.branch.keys[user_id, idempotency_key, events] = appended
        self.loop.after(self.random.uniform(0, 0.01), self._tell)
        if self.lag.changes and self.loop.now < self.lag.until:
            self.loop.after(self.lag.changes, self._tell)
        return appended

    def changes(self, after: Cursor, wait: float, limit: int, answer: Answer) -> None:
        """See `Store.changes`; the answer is given when there is one."""
        now = self.loop.now
        poller = Poller(after, now, now + wait / self.clock_rate, limit, self.lag_of_a_look(), answer)
        if not self._look(poller):
            self._pollers.append(poller)
            self.loop.after(poller.until - now, self._tell)

    def _tell(self) -> None:
        self._pollers = [poller for poller in self._pollers if not self._look(poller)]
        for stream in list(self.streams):
            stream.wake()

    def _look(self, poller: Poller) -> bool:
        found = self.find(poller.after, poller.limit, poller.lag)
        if found.cursor == poller.after and self.loop.now < poller.until:
            return False
        waited = (self.loop.now - poller.began) * self.clock_rate if found.is_continuation() else 0.0
        poller.answer(attrs.evolve(found, waited=waited))
        return True

    def find(self, after: Cursor, limit: int, lag: float) -> SimChanges:
        """What a look at the feed finds, on a state of so many seconds ago."""
        head, view = self.branch.cursor(self.branch.position_at(self.loop.now - lag)), self.views.current()
        is_known = after.position <= head.position and self.branch.holds(after.position, after.hash)
        if after.epoch != head.epoch or not is_known:
            return SimChanges(after, head, {}, complete=True, waited=0.0, view=view)
        end = min(head.position, after.position + min(limit, self.page))
        last = {self.branch.changed[p - 1].user_id: p for p in range(after.position + 1, end + 1)}
        users = dict(sorted(last.items(), key=lambda item: item[1]))
        cursor = self.branch.cursor(end)
        return SimChanges(after, cursor, users, complete=cursor == head, waited=0.0, view=view)

    def lag_of_a_look(self) -> float:
        """How far behind a look at the feed is."""
        return self._lag(self.lag.changes)

    def restart(self) -> None:
        """The service goes down and comes back over the same history: polls and streams under way fail."""
        pollers, self._pollers = self._pollers, []
        for poller in pollers:
            poller.answer(StoreUnavailable("restarted"))
        for stream in list(self.streams):
            stream.end(self.random.choice([b"", None]))

    def begin_epoch(self) -> None:
        """Back over the same entries, which it cannot prove unbroken."""
        self._go_back(len(self.branch.changed), None)

    def restore(self, entries: int, *, same_epoch: bool) -> None:
        """Put an older copy in place, `entries` behind the head."""
        self._go_back(max(0, len(self.branch.changed) - entries), self.branch.epoch if same_epoch else None)

    def _go_back(self, position: int, epoch: str | None) -> None:
        old, self.branch = self.branch, self._new_branch(epoch)
        self.branch.hashes = old.hashes[: position + 1]
        self.branch.changed, self.branch.times = old.changed[:position], old.times[:position]
        self.branch.began_with = position
        self.branch.keys = {
            key: attrs.evolve(done, cursor=attrs.evolve(done.cursor, epoch=self.branch.epoch))
            for key, done in old.keys.items()
            if done.cursor.position <= position
        }
        then = {record.user_id: record for record in self.branch.changed}
        for user_id, record in self.records.items():
            restored = then.get(user_id) or unopened(user_id)
            if restored is not record:
                self.committed.commit(restored, self.loop.now)
        self.records = then
        if not self.streams or self.random.random() < 0.5:
            self.restart()
        else:  # under a service that goes on
            self._tell()

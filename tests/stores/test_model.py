"""Any store against a model of a few lines: random appends, clocks, polls, erasures and reopenings."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import attrs
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from diijam_consent_sdk import events as e
from diijam_consent_sdk.errors import InvalidEvent, KeyReused, VersionConflict
from diijam_consent_sdk.record import ConsentRecord, fold, refusal, unopened
from diijam_consent_sdk.standing import standing_of
from diijam_consent_sdk.stores import Appended, Cursor, Store
from diijam_consent_sdk.stores.protocol import StandingRow
from diijam_consent_sdk.stores.standings import decode_standing, encode_standing
from tests import strategies
from tests.strategies import START

from .contract import HOMES, LASTING_HOMES, Home, head

USERS = ("u-1", "u-2", "u-3")
KEYS = ("k-1", "k-2")


@attrs.define
class Model:
    """A ledger as lists and dicts. Hashes are the store's own: the model learns them from its answers."""

    entries: list[e.LedgerEntry] = attrs.field(factory=list)
    head: int = 0
    last_at: datetime = START
    kept: dict[tuple[str, str], list[tuple[tuple[e.Event, ...], int, ConsentRecord]]] = attrs.field(factory=dict)

    def history(self, user_id: str) -> list[e.LedgerEntry]:
        """The user's entries."""
        return [entry for entry in self.entries if entry.user_id == user_id]

    def record(self, user_id: str) -> ConsentRecord:
        """The fold of them."""
        record = unopened(user_id)
        for entry in self.history(user_id):
            record = fold(record, entry)
        return record

    def append(
        self,
        user_id: str,
        events: tuple[e.Event, ...],
        at: datetime,
        expected: int | None,
        key: str | None,
        *,
        provenance: e.Provenance,
    ) -> tuple[int, ConsentRecord, bool] | type[Exception]:
        """Position, record and whether it is a repeat, as the store should answer, or the error it should raise."""
        kept = self.kept.get((user_id, key), []) if key is not None else []
        for known, position, record in kept:
            if known == events:
                return position, record, True
        if kept and not e.takes_away(events):
            return KeyReused
        record, added = self.record(user_id), list[e.LedgerEntry]()
        if expected is not None and expected != record.version:
            return VersionConflict
        for event in events:
            if refusal(record, event, at, provenance=provenance) is not None:
                return InvalidEvent
            said = provenance.without_customer() if isinstance(event, e.Erased) else provenance
            added.append(e.LedgerEntry(self.head + len(added) + 1, user_id, record.version + 1, at, event, said))
            record = fold(record, added[-1])
        if isinstance(events[-1], e.Erased):
            self.entries = [entry for entry in self.entries if entry.user_id != user_id]
            self.kept = {place: answer for place, answer in self.kept.items() if place[0] != user_id}
            self.entries.append(added[-1])
        else:
            self.entries += added
        self.head, self.last_at = added[-1].position, at
        if key is not None:
            self.kept.setdefault((user_id, key), []).append((events, self.head, record))
        return self.head, record, False


class Ledger(RuleBasedStateMachine):
    """One store and its model, side by side."""

    def __init__(self, make_home: Callable[[Path], Home], *, is_lasting: bool) -> None:
        super().__init__()
        self._folder = tempfile.TemporaryDirectory()
        self.home = make_home(Path(self._folder.name))
        self.is_lasting = is_lasting
        self.store: Store = self.home.open()
        self.model = Model()
        self.cursors = [head(self.store)]

    def teardown(self) -> None:
        """Leave nothing on the disk."""
        self.home.close()
        self._folder.cleanup()

    @property
    def now(self) -> datetime:
        """What a store with this clock calls now: never before its last entry."""
        return max(self.home.clock.at, self.model.last_at)

    @initialize()
    def open_accounts(self) -> None:
        """Begin with two users, so that less is refused."""
        for user_id in USERS[:2]:
            self._append(user_id, (e.AccountOpened(),), None, None)

    @rule(
        user_id=st.sampled_from(USERS),
        events=st.lists(strategies.events(), min_size=1, max_size=3).map(tuple),
        expected=st.sampled_from([None, None, None, 0, 1, 2]),
        key=st.sampled_from([None, None, *KEYS]),
        provenance=strategies.provenances(),
    )
    def append(
        self,
        user_id: str,
        events: tuple[e.Event, ...],
        expected: int | None,
        key: str | None,
        provenance: e.Provenance,
    ) -> None:
        """Append anything, said in any way."""
        self._append(user_id, events, expected, key, provenance)

    @rule(user_id=st.sampled_from(USERS), key=st.sampled_from(KEYS), data=st.data())
    def repeat(self, user_id: str, key: str, data: Any) -> None:
        """Append what was appended with this key before."""
        known = self.model.kept.get((user_id, key))
        if known is not None:
            self._append(user_id, data.draw(st.sampled_from(known))[0], data.draw(st.sampled_from([None, 1])), key)

    @rule(user_id=st.sampled_from(USERS), key=st.sampled_from([None, *KEYS]))
    def erase(self, user_id: str, key: str | None) -> None:
        """Close the account, end its holds, erase it."""
        holds = [e.HoldReleased(hold.hold) for hold in self.model.record(user_id).live_holds(self.now)]
        self._append(user_id, (e.AccountClosed(), *holds, e.Erased()), None, key)

    def _append(
        self,
        user_id: str,
        events: tuple[e.Event, ...],
        expected: int | None,
        key: str | None,
        provenance: e.Provenance = e.NO_PROVENANCE,
    ) -> None:
        answer = self.model.append(user_id, events, self.now, expected, key, provenance=provenance)
        append = partial(
            self.store.append, user_id, events, expected_version=expected, idempotency_key=key, provenance=provenance
        )
        if not isinstance(answer, tuple):
            with pytest.raises(answer) as caught:
                append()
            assert type(caught.value) is answer
            return
        appended = append()
        position, record, is_repeat = answer
        cursor = attrs.evolve(appended.cursor, position=position)
        assert appended == Appended(cursor, record.version, is_repeat=is_repeat, record=record)
        self.cursors.append(appended.cursor)

    @rule(seconds=st.integers(-5, 10))
    def tick(self, seconds: int) -> None:
        """Let time pass, also backwards."""
        self.home.clock.tick(seconds)

    @precondition(lambda self: self.is_lasting)
    @rule()
    def reopen(self) -> None:
        """Close the store and open it again."""
        self.home.close()
        self.store = self.home.open()

    @rule(user_ids=st.lists(st.sampled_from([*USERS, "nobody"]), max_size=6))
    def load(self, user_ids: list[str]) -> None:
        """Records, time and head are the model's; an id given twice counts once."""
        loaded = self.store.load(user_ids)
        assert loaded.records == tuple(self.model.record(user_id) for user_id in dict.fromkeys(user_ids))
        assert (loaded.cursor.position, loaded.at) == (self.model.head, self.now)

    @rule(user_ids=st.lists(st.sampled_from([*USERS, "nobody"]), max_size=6))
    def standings(self, user_ids: list[str]) -> None:
        """Standings are those of the model's records, at the time of the reading."""
        found = self.store.standings(user_ids)
        assert (found.cursor.position, found.at) == (self.model.head, self.now)
        assert found.users == tuple(self._row(user_id) for user_id in dict.fromkeys(user_ids))
        ends = [decode_standing(row.standing, found.view).next_change_at for row in found.users]
        assert all(end is None or end > found.at for end in ends)

    @rule(limit=st.integers(1, 4))
    def list_standings(self, limit: int) -> None:
        """The list has whoever has entries, in order of ids."""
        rows, after, is_last = list[StandingRow](), None, False
        while not is_last:
            page = self.store.list_standings(after, limit)
            rows += page.users
            after, is_last = page.after, page.after is None
        assert rows == [self._row(user_id) for user_id in USERS if self.model.history(user_id)]

    def _row(self, user_id: str) -> StandingRow:
        record = self.model.record(user_id)
        return StandingRow(user_id, record.version, encode_standing(standing_of(record, self.now)))

    @rule(user_id=st.sampled_from(USERS))
    def history(self, user_id: str) -> None:
        """The entries are the model's."""
        assert self.store.history(user_id) == self.model.history(user_id)

    @rule(choice=st.integers(min_value=0), limit=st.integers(1, 5) | st.just(1000))
    def changes(self, choice: int, limit: int) -> None:
        """From any cursor there was, the users changed since are the model's."""
        after = self.cursors[choice % len(self.cursors)]
        later = [entry for entry in self.model.entries if entry.position > after.position][:limit]
        changes = self.store.changes(after, wait=0, limit=limit)
        told = {entry.user_id: entry.position for entry in later}
        assert list(changes.user_ids.items()) == sorted(told.items(), key=lambda item: item[1])
        assert changes.cursor.position == (later[-1].position if later else self.model.head)
        assert changes.complete == (changes.cursor.position == self.model.head)
        assert (changes.after, changes.is_continuation()) == (after, True)

    @rule(choice=st.integers(min_value=0), shift=st.sampled_from([-1, 1, 10**9]))
    def foreign_changes(self, choice: int, shift: int) -> None:
        """A cursor that never was gets the head and no users."""
        known = self.cursors[choice % len(self.cursors)]
        after = Cursor(known.epoch, known.position + shift, known.hash)
        changes = self.store.changes(after, wait=0)
        assert (changes.user_ids, changes.complete, changes.is_continuation()) == ({}, True, False)
        assert changes.cursor == head(self.store)


@pytest.mark.parametrize("home", HOMES)
def test_a_store_is_its_model(home: str) -> None:
    """Whatever is done to a store, it answers as lists and dicts would."""
    run_state_machine_as_test(
        lambda: Ledger(HOMES[home], is_lasting=home in LASTING_HOMES),  # type: ignore[arg-type]
        settings=settings(
            max_examples=60 if home == "memory" else 12,
            stateful_step_count=25,
            suppress_health_check=list(HealthCheck),
        ),
    )

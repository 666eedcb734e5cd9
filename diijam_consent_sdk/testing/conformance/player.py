"""
Play one case on one store, step by step.

A `Mismatch` has what was expected and what was found, so that its text alone shows what to mend.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import pairwise

import attrs

from ...decisions import Ask, Decision
from ...events import NO_PROVENANCE, Erased, Event, LedgerEntry, Provenance
from ...record import ConsentRecord
from ...standing import standing_of
from ...stores import wire
from ...stores.answers import Appended, Changes, Cursor, Loaded
from ...stores.protocol import Store
from ...stores.standings import decode_standing
from .cases import Step
from .comparing import REFUSALS, Mismatch, compare, expect, expect_accepted, expect_refusal
from .described import Described
from .holders import STEPS, Holders
from .proof import Proof

Decide = Callable[[ConsentRecord, Ask, datetime], Decision]
MAX_PAGES = 1_000  # of changes, since others may write meanwhile, but a store must come to an end
DAY = timedelta(days=1)


@attrs.define
class UserState:
    """What the store accepted of one user."""

    user_id: str
    record: ConsentRecord | None = None
    loaded: Loaded | None = None  # the last load, while nothing has happened since
    events: list[Event] = attrs.field(factory=list)
    said: list[Provenance] = attrs.field(factory=list)  # of each event
    position: int = 0
    answers: dict[tuple[str, tuple[Event, ...]], Appended] = attrs.field(factory=dict)


class Player:
    """Plays the steps of one case."""

    def __init__(self, store: Store, user_id: str, tick: Callable[[float], None] | None, decide: Decide) -> None:
        self.tick = tick
        self._store = store
        self._user_id = user_id
        self._decide = decide
        self._users: dict[str, UserState] = {}
        self._waited = timedelta()

    def begin(self) -> None:
        """Note the end of the ledger and the time, from which the instants in the steps count."""
        head = self._store.load([])
        self._head, self._began_at = head.cursor, head.at
        self._described = Described(head.at, self._user_id)
        self._proof = Proof(self._store, self._described)
        self._holders = Holders(self._store, lambda label: self._load(self._user(label)).records[0])

    def play(self, step: Step) -> None:
        """Play one step; raises `Mismatch` if something else happens than the step expects."""
        user = self._user(step.get("user", "user"))
        match step["do"]:
            case "append":
                self._append(user, step)
            case "ask":
                self._ask(user, step)
            case "wait":
                self._waited += timedelta(seconds=step["seconds"])
                if self.tick is not None:
                    self.tick(step["seconds"])
                    self._forget_loads()
            case "record":
                record = wire.decode(wire.encode(self._load(user).records[0]))
                compare("record", record, self._described.value(step["is"]))
            case "due":
                self._check_due(user, step)
            case "history":
                expected = self._described.events(step)
                expect("history", [entry.event for entry in self._store.history(user.user_id)], expected)
            case action if action in STEPS:
                self._holders.play(step)
            case _:
                self._proof.play(user.user_id, step)

    def end(self) -> None:
        """Check what holds after every case: all that the store gives agrees with what was accepted."""
        for user in self._users.values():
            self._check_history(user, self._store.history(user.user_id))
        self._check_standings()
        changed = self._collect_changes()
        for user in self._users.values():
            if user.position:
                expect("position in changes", changed.get(user.user_id), user.position)

    def _user(self, label: str) -> UserState:
        return self._users.setdefault(label, UserState(f"{self._user_id}-{label}"))

    def _load(self, user: UserState) -> Loaded:
        if user.loaded is not None:
            return user.loaded
        loaded = self._store.load([user.user_id])
        expect("users loaded", [record.user_id for record in loaded.records], [user.user_id])
        if user.record is not None:
            expect("record loaded", loaded.records[0], user.record)
        if loaded.cursor.position < user.position:
            raise Mismatch(f"loaded as of position {loaded.cursor.position}, before the append at {user.position}")
        user.record, user.loaded = loaded.records[0], loaded
        return loaded

    def _forget_loads(self) -> None:
        for user in self._users.values():
            user.loaded = None

    def _append(self, user: UserState, step: Step) -> None:
        before = self._load(user).records[0]
        self._forget_loads()
        try:
            events, said = self._described.events(step), self._described.provenance(step)
            appended = self._store.append(
                user.user_id, events, provenance=said,
                expected_version=step.get("expected_version"), idempotency_key=step.get("key"),
            )  # fmt: skip
        except REFUSALS as error:
            expect_refusal(error, step.get("refused"))
        else:
            expect_accepted(step.get("refused"))
            if step.get("repeats"):
                first = user.answers[str(step.get("key")), tuple(events)]
                expect("answer repeated", appended, attrs.evolve(first, is_repeat=True))
            else:
                self._check_appended(user, before, events, appended)
                self._note_appended(user, events, said, appended)
                user.answers[str(step.get("key")), tuple(events)] = appended
        self._load(user)

    def _check_appended(self, user: UserState, before: ConsentRecord, events: list[Event], appended: Appended) -> None:
        if appended.record is not None:
            expect("user of the answer", appended.record.user_id, user.user_id)
            expect("version of the record", appended.record.version, appended.version)
        expect("version", appended.version, before.version + len(events))
        expect("is_repeat", appended.is_repeat, expected=False)
        if appended.cursor.position < max(user.position, self._head.position) + len(events):
            raise Mismatch(f"position {appended.cursor.position} does not count the entries before it")

    @staticmethod
    def _note_appended(user: UserState, events: list[Event], said: Provenance | None, appended: Appended) -> None:
        user.record, user.position = appended.record, appended.cursor.position
        said = said or NO_PROVENANCE
        user.events, user.said = [*user.events, *events], [*user.said, *[said] * len(events)]
        if isinstance(events[-1], Erased):
            user.events, user.said = [events[-1]], [said.without_customer()]

    def _check_due(self, user: UserState, step: Step) -> None:
        request = self._load(user).records[0].requests[step["request"]]
        expect("days until it is due", (request.due_at - request.received_at) / DAY, step["days"])
        if "reply_days" in step:
            days = (request.reply_due_at - request.received_at) / DAY
            expect("days until the reply is due", days, step["reply_days"])
        if "state" in step:
            expect("state", str(request.state(self._now(self._load(user)))), step["state"])

    def _ask(self, user: UserState, step: Step) -> None:
        try:
            ask = self._described.ask(step["ask"])
        except (ValueError, TypeError) as error:
            if not step.get("malformed"):
                raise Mismatch(f"the ask is malformed: {error}") from error
            return
        if step.get("malformed"):
            raise Mismatch("the ask is answered, expected: malformed")
        loaded = self._load(user)
        decision = self._decide(loaded.records[0], ask, self._now(loaded))
        answer = {"allowed": bool(decision), "reason": str(decision.reason), "clause": decision.clause}
        expect("answer", answer, step["answer"])

    def _now(self, loaded: Loaded) -> datetime:
        # A store's clock cannot be set over HTTP, so the waited time is passed to the decision instead.
        return loaded.at if self.tick is not None else max(loaded.at, self._began_at + self._waited)

    def _check_history(self, user: UserState, history: list[LedgerEntry]) -> None:
        expect("history", [entry.event for entry in history], user.events)
        # The writer is not compared: over HTTP it is the token.
        said = [attrs.evolve(entry.provenance, by=None) for entry in history]
        expect("provenance", said, [attrs.evolve(given, by=None) for given in user.said])
        if not history:
            return
        version = user.record.version if user.record else 0
        expect("versions", [entry.version for entry in history], list(range(version - len(history) + 1, version + 1)))
        expect("position of the last entry", history[-1].position, user.position)
        expect("users in the history", {entry.user_id for entry in history}, {user.user_id})
        places = [(entry.position, entry.at) for entry in history]
        if any(later[0] <= earlier[0] or later[1] < earlier[1] for earlier, later in pairwise(places)):
            raise Mismatch("positions or times of the history run back")

    def _check_standings(self) -> None:
        """Check that each user's standing, which clients decide on, is what the record makes of it."""
        found = self._store.standings([user.user_id for user in self._users.values()])
        for user, row in zip(self._users.values(), found.users, strict=True):
            record = self._load(user).records[0]
            expect("user and version of the standing", (row.user_id, row.version), (record.user_id, record.version))
            expected = standing_of(record, found.at).narrowed(found.view)
            expect("standing", decode_standing(row.standing, found.view), expected)

    def _collect_changes(self) -> dict[str, int]:
        """Collect the users who changed since the case began, page by page."""
        changed: dict[str, int] = {}
        after: Cursor = self._head
        for _ in range(MAX_PAGES):
            changes: Changes = self._store.changes(after, wait=0)
            expect("cursor that changes answers to", changes.after, after)
            if not changes.is_continuation():
                raise Mismatch("changes does not continue from a cursor that load gave")
            changed |= changes.user_ids
            if changes.complete:
                return changed
            after = changes.cursor
        raise Mismatch(f"changes is not complete after {MAX_PAGES} answers")

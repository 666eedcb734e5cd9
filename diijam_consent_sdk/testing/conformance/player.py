"""
Play one case on one store, step by step.

A `Mismatch` has what was expected and what was found, so that its text alone shows what to mend.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any, get_args

import attrs

from ...decisions import Ask, Decision
from ...errors import InvalidEvent, StoreError, VersionConflict
from ...events import Erased, Event, LedgerEntry
from ...record import ConsentRecord
from ...stores import wire
from ...stores.protocol import Appended, Changes, Cursor, Loaded, Store
from .cases import Step

Decide = Callable[[ConsentRecord, Ask, datetime], Decision]
ASKS: Mapping[str, type[Ask]] = {kind.__name__: kind for kind in get_args(Ask)}
MAX_PAGES = 1_000  # of changes, since others may write meanwhile, but a store must come to an end
DAY = timedelta(days=1)


class Mismatch(Exception):
    """The store or the decision differs from what the case expects."""


@attrs.define
class UserState:
    """What the store accepted of one user."""

    user_id: str
    record: ConsentRecord | None = None
    loaded: Loaded | None = None  # the last load, while nothing has happened since
    events: list[Event] = attrs.field(factory=list)
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
                self._compare("record", wire.decode(wire.encode(self._load(user).records[0])), step["is"])
            case "due":
                request = self._load(user).records[0].requests[step["request"]]
                _expect("days until it is due", (request.due_at - request.received_at) / DAY, step["days"])
                if "reply_days" in step:
                    days = (request.reply_due_at - request.received_at) / DAY
                    _expect("days until the reply is due", days, step["reply_days"])
            case "history":
                expected = [self._event(event) for event in step["events"]]
                _expect("history", [entry.event for entry in self._store.history(user.user_id)], expected)
            case other:
                raise ValueError(f"unknown step {other!r}: these cases are for a newer version")

    def end(self) -> None:
        """Check what holds after every case: history, versions, positions and changes agree with what was accepted."""
        for user in self._users.values():
            self._check_history(user, self._store.history(user.user_id))
        changed = self._collect_changes()
        for user in self._users.values():
            if user.position:
                _expect("position in changes", changed.get(user.user_id), user.position)

    def _user(self, label: str) -> UserState:
        return self._users.setdefault(label, UserState(f"{self._user_id}-{label}"))

    def _load(self, user: UserState) -> Loaded:
        if user.loaded is not None:
            return user.loaded
        loaded = self._store.load([user.user_id])
        _expect("users loaded", [record.user_id for record in loaded.records], [user.user_id])
        if user.record is not None:
            _expect("record loaded", loaded.records[0], user.record)
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
            events = [self._event(event) for event in _repeat_events(step)]
            appended = self._store.append(
                user.user_id, events,
                expected_version=step.get("expected_version"), idempotency_key=step.get("key"),
            )  # fmt: skip
        except (ValueError, TypeError, VersionConflict) as error:
            kind = _refusal_kind(error)
            if kind != step.get("refused"):
                raise Mismatch(f"refused as {kind}, expected: {step.get('refused', 'accepted')}") from error
        else:
            if "refused" in step:
                raise Mismatch(f"accepted, expected: refused as {step['refused']}")
            self._check_appended(user, before, events, appended, step)
        self._load(user)

    def _check_appended(
        self, user: UserState, before: ConsentRecord, events: list[Event], appended: Appended, step: Step
    ) -> None:
        key = step.get("key")
        if step.get("repeats"):
            _expect("answer repeated", appended, attrs.evolve(user.answers[str(key), tuple(events)], is_repeat=True))
            return
        if appended.record is not None:
            _expect("user of the answer", appended.record.user_id, user.user_id)
            _expect("version of the record", appended.record.version, appended.version)
        _expect("version", appended.version, before.version + len(events))
        _expect("is_repeat", appended.is_repeat, expected=False)
        if appended.cursor.position < max(user.position, self._head.position) + len(events):
            raise Mismatch(f"position {appended.cursor.position} does not count the entries before it")
        user.record, user.position = appended.record, appended.cursor.position
        user.events = [*user.events, *events]
        if isinstance(events[-1], Erased):
            user.events = [events[-1]]
        if key is not None:
            user.answers[key, tuple(events)] = appended

    def _ask(self, user: UserState, step: Step) -> None:
        try:
            ask = _parse_ask(step["ask"])
        except (ValueError, TypeError) as error:
            if not step.get("malformed"):
                raise Mismatch(f"the ask is malformed: {error}") from error
            return
        if step.get("malformed"):
            raise Mismatch("the ask is answered, expected: malformed")
        loaded = self._load(user)
        # A store's clock cannot be set over HTTP, so the waited time is passed to the decision instead.
        at = loaded.at if self.tick is not None else max(loaded.at, self._began_at + self._waited)
        decision = self._decide(loaded.records[0], ask, at)
        answer = {"allowed": bool(decision), "reason": str(decision.reason), "clause": decision.clause}
        _expect("answer", answer, step["answer"])

    def _event(self, described: Mapping[str, Any]) -> Event:
        given = {name: self._instant(value) for name, value in described.items()}
        return wire.event_from(given)

    def _instant(self, value: Any) -> Any:
        if isinstance(value, dict):
            return (self._began_at + timedelta(seconds=value["in"])).isoformat()
        return value

    def _compare(self, name: str, found: Any, expected: Any) -> None:
        """Compare the fields of an object that are expected, and lists as sets."""
        if isinstance(expected, dict) and expected and isinstance(found, dict):
            for key, value in expected.items():
                self._compare(f"{name}.{key}", found.get(key), value)
        elif isinstance(expected, list) and isinstance(found, list):
            _expect(name, sorted(found), sorted(expected))
        else:
            _expect(name, found, expected)

    def _check_history(self, user: UserState, history: list[LedgerEntry]) -> None:
        _expect("history", [entry.event for entry in history], user.events)
        if not history:
            return
        version = user.record.version if user.record else 0
        _expect("versions", [entry.version for entry in history], list(range(version - len(history) + 1, version + 1)))
        _expect("position of the last entry", history[-1].position, user.position)
        _expect("users in the history", {entry.user_id for entry in history}, {user.user_id})
        places = [(entry.position, entry.at) for entry in history]
        if any(later[0] <= earlier[0] or later[1] < earlier[1] for earlier, later in pairwise(places)):
            raise Mismatch("positions or times of the history run back")

    def _collect_changes(self) -> dict[str, int]:
        """Collect the users who changed since the case began, page by page."""
        changed: dict[str, int] = {}
        after: Cursor = self._head
        for _ in range(MAX_PAGES):
            changes: Changes = self._store.changes(after, wait=0)
            _expect("cursor that changes answers to", changes.after, after)
            if not changes.is_continuation():
                raise Mismatch("changes does not continue from a cursor that load gave")
            changed |= changes.user_ids
            if changes.complete:
                return changed
            after = changes.cursor
        raise Mismatch(f"changes is not complete after {MAX_PAGES} answers")


def _repeat_events(step: Step) -> Iterator[Mapping[str, Any]]:
    """Yield the events of a step, repeated as often as `times`; then # in a text is the number of the repetition."""
    if "times" not in step:
        yield from step["events"]
        return
    for number in range(1, step["times"] + 1):
        for event in step["events"]:
            yield {
                name: text.replace("#", str(number)) if name != "type" and isinstance(text, str) else text
                for name, text in event.items()
            }


def _parse_ask(described: Mapping[str, Any]) -> Ask:
    given = dict(described)
    return ASKS[given.pop("type")](**given)


def _refusal_kind(error: Exception) -> str:
    if isinstance(error, InvalidEvent):
        return "invalid-event"
    if isinstance(error, StoreError):
        raise error
    return "version-conflict" if isinstance(error, VersionConflict) else "malformed"


def _expect(what: str, found: object, expected: object) -> None:
    if found != expected:
        raise Mismatch(f"{what}: {found!r}, expected: {expected!r}")

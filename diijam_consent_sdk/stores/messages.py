"""
The messages of the HTTP protocol, version 1. Each question is a POST, and its answer echoes its nonce.

The service and `HttpStore` share them; docs/http.md and the service's OpenAPI document describe them for others.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, ClassVar

import msgspec
from msgspec import Meta

from ..events import LedgerEntry
from ..record import ConsentRecord
from ..vocabulary import instant
from . import wire
from .answers import Appended, Changes, Cursor, Loaded, OpenRequests
from .message_fields import (
    APPEND_BODY_BYTES,
    LOAD_BODY_BYTES,
    MAX_BEAT_SECONDS,
    MAX_CHANGES,
    MAX_STREAM_SECONDS,
    MAX_USERS,
    MAX_WAIT_SECONDS,
    MIN_BEAT_SECONDS,
    Answer,
    AppendedEvents,
    EventFields,
    ExpectedVersion,
    IdempotencyKey,
    ProvenanceFields,
    Question,
    UserId,
    ViewNames,
    read_view,
)


class LoadQuestion(Question, frozen=True, kw_only=True):
    """The records of these users, in order, of an id given twice at its first place; of none: just the head."""

    max_bytes: ClassVar[int] = LOAD_BODY_BYTES

    user_ids: Annotated[list[UserId], Meta(max_length=MAX_USERS)]


class AppendQuestion(Question, frozen=True, kw_only=True):
    """
    Append all events or none. One `provenance` holds for all of them; its `by` counts only from a relay, in all other
    entries it is the token's name.
    """

    max_bytes: ClassVar[int] = APPEND_BODY_BYTES

    user_id: UserId
    events: AppendedEvents
    expected_version: ExpectedVersion | None = None
    idempotency_key: IdempotencyKey | None = None
    provenance: ProvenanceFields | None = None


class HistoryQuestion(Question, frozen=True, kw_only=True):
    """The entries of this user after the version `after`, oldest first."""

    user_id: UserId
    after: Annotated[int, Meta(ge=0, le=2**63 - 1)] = 0


class ChangesQuestion(Question, frozen=True, kw_only=True):
    """
    The users that changed since `after`; with nothing new, the answer comes after up to `wait` seconds.

    A `stream` is answered in parts for `wait` seconds: one a line, at least one every `beat` seconds. `client` is a
    random id of the asking client, which has one stream at a time.
    """

    after: Cursor
    wait: Annotated[float, Meta(ge=0, le=MAX_STREAM_SECONDS)] = 0.0
    limit: Annotated[int, Meta(ge=1, le=MAX_CHANGES)] = MAX_CHANGES
    stream: bool = False
    beat: Annotated[float, Meta(ge=MIN_BEAT_SECONDS, le=MAX_BEAT_SECONDS)] | None = None
    client: Annotated[str, Meta(min_length=16, max_length=64)] | None = None

    def __post_init__(self) -> None:
        if self.stream and (self.beat is None or self.client is None):
            raise ValueError("a stream needs beat and client")
        if not self.stream and (self.beat is not None or self.client is not None):
            raise ValueError("beat and client are for a stream alone")
        if not self.stream and self.wait > MAX_WAIT_SECONDS:
            raise ValueError(f"without a stream, wait is at most {MAX_WAIT_SECONDS:.0f}")


class RequestsQuestion(Question, frozen=True, kw_only=True):
    """The users after `after` who have open requests, in order of their ids; of all users to begin with."""

    after: UserId | None = None
    limit: Annotated[int, Meta(ge=1, le=MAX_USERS)] = MAX_USERS


class LoadAnswer(Answer, frozen=True, kw_only=True):
    """Records, one for each different id asked, in that order, as of `cursor`; `at` is the store's wall clock then."""

    cursor: Cursor
    at: datetime
    records: list[ConsentRecord]

    def result(self) -> Loaded:
        """Return what `Store.load` returns; `wire.Malformed` if a record is not valid."""
        wire.check_records(self.records)
        return Loaded(self.cursor, instant(self.at), tuple(self.records))


class AppendAnswer(Answer, frozen=True, kw_only=True):
    """
    The cursor of the last entry, and the version that it gave the user's record. `is_repeat`: this was written before,
    with the same key. `record` is what the append made; it is left out if the token may not read records.
    """

    user_id: str
    cursor: Cursor
    version: int
    is_repeat: bool
    record: ConsentRecord | msgspec.UnsetType = msgspec.UNSET

    def result(self) -> Appended:
        """Return what `Store.append` returns; `wire.Malformed` if the record is not valid, or not of this append."""
        if isinstance(self.record, msgspec.UnsetType):
            return Appended(self.cursor, self.version, self.is_repeat, None)
        wire.check_records([self.record])
        if (self.record.user_id, self.record.version) != (self.user_id, self.version):
            raise wire.Malformed("the record is not what the append made")
        return Appended(self.cursor, self.version, self.is_repeat, self.record)


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One entry of the ledger."""

    position: int
    user_id: str
    version: int
    at: datetime
    event: EventFields
    provenance: ProvenanceFields
    notice_digest: str | None
    hash: str | None

    def result(self) -> LedgerEntry:
        """Make the entry; `wire.Malformed` if its event or provenance is not valid."""
        event, provenance = wire.event_from(self.event), wire.provenance_from(self.provenance)
        at = instant(self.at)
        return LedgerEntry(
            self.position, self.user_id, self.version, at, event, provenance, self.notice_digest, self.hash
        )


class HistoryAnswer(Answer, frozen=True, kw_only=True):
    """A page of the user's entries. `after` is the version to go on from; null: that was the last page."""

    entries: list[Entry]
    after: int | None

    def result(self) -> list[LedgerEntry]:
        """Return this page of what `Store.history` returns; `wire.Malformed` if an event is not valid."""
        return [entry.result() for entry in self.entries]


class ChangesAnswer(Answer, frozen=True, kw_only=True):
    """
    The users changed in (`after`, `cursor`], each with the position of its last change there. `view` has the scopes of
    the asks that the token may ask.
    """

    after: Cursor
    cursor: Cursor
    user_ids: dict[str, int]
    complete: bool
    view: ViewNames
    waited: float

    def result(self) -> Changes:
        """Return what `Store.changes` returns; `wire.Malformed` if the view is malformed."""
        return Changes(self.after, self.cursor, self.user_ids, self.complete, self.waited, read_view(self.view))


class RequestsAnswer(Answer, frozen=True, kw_only=True):
    """A page of records with open requests, as of the store's time `at`. `after` is where to go on; null at the end."""

    at: datetime
    records: list[ConsentRecord]
    after: str | None

    def result(self) -> OpenRequests:
        """Return what `Store.open_requests` returns; `wire.Malformed` if a record is not valid."""
        wire.check_records(self.records)
        return OpenRequests(instant(self.at), tuple(self.records), self.after)


PATHS: dict[type[Question], str] = {
    LoadQuestion: "/v1/records/load",
    AppendQuestion: "/v1/events/append",
    HistoryQuestion: "/v1/history/load",
    ChangesQuestion: "/v1/changes",
    RequestsQuestion: "/v1/requests/due",
}


for kind in (*PATHS, *Answer.__subclasses__()):
    wire.prepared(kind)


def entries_from(history: Iterable[LedgerEntry]) -> list[Entry]:
    """Make the entries of an answer."""
    return [
        Entry(
            position=e.position,
            user_id=e.user_id,
            version=e.version,
            at=e.at,
            event=wire.event_fields(e.event),
            provenance=wire.provenance_fields(e.provenance),
            notice_digest=e.notice_digest,
            hash=e.hash,
        )
        for e in history
    ]

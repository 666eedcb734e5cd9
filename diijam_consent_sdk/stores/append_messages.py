"""The messages of the HTTP protocol that write many users' events at once; see `messages`."""

from __future__ import annotations

from typing import Annotated, ClassVar

import msgspec
from msgspec import Meta

from ..record import ConsentRecord
from . import wire
from .answers import Appended, Cursor
from .checks import MAX_WRITES
from .message_fields import (
    MAX_BODY_BYTES,
    Answer,
    AppendedEvents,
    ExpectedVersion,
    IdempotencyKey,
    ProvenanceFields,
    Question,
    UserId,
)
from .messages import AppendAnswer
from .problem_document import Problem


class WriteFields(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One of many appends; its fields are those of `AppendQuestion`."""

    user_id: UserId
    events: AppendedEvents
    expected_version: ExpectedVersion | None = None
    idempotency_key: IdempotencyKey | None = None
    provenance: ProvenanceFields | None = None

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"  # its fields hold ids of users


class AppendManyQuestion(Question, frozen=True, kw_only=True):
    """Append these in one transaction, each judged after those before it; at most 10,000 events together."""

    max_bytes: ClassVar[int] = MAX_BODY_BYTES

    writes: Annotated[list[WriteFields], Meta(max_length=MAX_WRITES)]


class WriteAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """
    What became of one append: what the answer to it alone would hold, or the `problem` for which it was refused. The
    `record` is left out, too, where the records of one answer would be too large together.
    """

    problem: Problem | msgspec.UnsetType = msgspec.UNSET
    user_id: str | msgspec.UnsetType = msgspec.UNSET
    cursor: Cursor | msgspec.UnsetType = msgspec.UNSET
    version: int | msgspec.UnsetType = msgspec.UNSET
    is_repeat: bool | msgspec.UnsetType = msgspec.UNSET
    record: ConsentRecord | msgspec.UnsetType = msgspec.UNSET

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"

    def result(self) -> Appended | Problem:
        """Return what the append made, or why it was refused; `wire.Malformed` if this is neither."""
        if isinstance(self.problem, Problem):
            return self.problem
        if (
            isinstance(self.user_id, msgspec.UnsetType)
            or isinstance(self.cursor, msgspec.UnsetType)
            or isinstance(self.version, msgspec.UnsetType)
            or isinstance(self.is_repeat, msgspec.UnsetType)
        ):
            raise wire.Malformed("a result lacks a field")
        return AppendAnswer(
            nonce="", user_id=self.user_id, cursor=self.cursor, version=self.version, is_repeat=self.is_repeat,
            record=self.record,
        ).result()  # fmt: skip


class AppendManyAnswer(Answer, frozen=True, kw_only=True):
    """The result of each append, in the order of the question."""

    results: list[WriteAnswer]


PATHS: dict[type[Question], str] = {AppendManyQuestion: "/v1/events/append-many"}


for kind in (AppendManyQuestion, AppendManyAnswer):
    wire.prepared(kind)

"""The messages of the HTTP protocol by which the ledger is read in order; see `messages`."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from . import wire
from .answers import Cursor, Entries
from .message_fields import MAX_CHANGES, MAX_WAIT_SECONDS, Answer, Question
from .messages import Entry


class EntriesQuestion(Question, frozen=True, kw_only=True):
    """
    The entries after `after`, in order; null: from the first one on. With nothing new, the answer comes after up to
    `wait` seconds.
    """

    after: Cursor | None = None
    wait: Annotated[float, Meta(ge=0, le=MAX_WAIT_SECONDS)] = 0.0
    limit: Annotated[int, Meta(ge=1, le=MAX_CHANGES)] = MAX_CHANGES


class EntriesAnswer(Answer, frozen=True, kw_only=True):
    """
    The entries in (`after`, `cursor`], without those that an erasure blanked. To a question from the first entry on,
    `after` is the place before it.
    """

    after: Cursor
    cursor: Cursor
    entries: list[Entry]
    complete: bool

    def result(self) -> Entries:
        """Return what `Store.entries` returns; `wire.Malformed` if an event is not valid."""
        return Entries(self.after, self.cursor, tuple(entry.result() for entry in self.entries), self.complete)


PATHS: dict[type[Question], str] = {EntriesQuestion: "/v1/entries"}

for kind in (EntriesQuestion, EntriesAnswer):
    wire.prepared(kind)

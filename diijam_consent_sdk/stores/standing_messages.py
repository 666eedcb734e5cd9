"""The messages of the HTTP protocol about standings. Equal standings of an answer are sent once, as they are stored."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import Meta

from ..vocabulary import instant
from . import wire
from .answers import Cursor, StandingRow, Standings, StandingsPage
from .message_fields import LOAD_BODY_BYTES, MAX_USERS, Answer, Question, UserId, ViewNames, read_view
from .standings import MAX_STANDING_BYTES

Version = Annotated[int, Meta(ge=0, description="The version of the user's record.")]
Index = Annotated[int, Meta(ge=0, description="Which of the answer's standings is the user's.")]


class StandingsQuestion(Question, frozen=True, kw_only=True):
    """The standings of these users, in order, of an id given twice at its first place; of none: just the head."""

    max_bytes = LOAD_BODY_BYTES

    user_ids: Annotated[list[UserId], Meta(max_length=MAX_USERS)]


class StandingsListQuestion(Question, frozen=True, kw_only=True):
    """The standings of all users after `after`, in order of their ids; null to begin with."""

    after: UserId | None
    limit: Annotated[int, Meta(ge=1, le=MAX_USERS)] = MAX_USERS


class StandingUser(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, gc=False):
    """The user's id, the version of the record, and the index of the standing."""

    user_id: UserId
    version: Version
    index: Index


class StandingsAnswer(Answer, frozen=True, kw_only=True):
    """
    Standings for the asks of `view`, as of `cursor`; `at` is the store's wall clock then. `standings` are the different
    ones, and each user has the index of one.
    """

    cursor: Cursor
    at: datetime
    view: ViewNames
    standings: list[msgspec.Raw]
    users: list[StandingUser]

    def rows(self) -> tuple[StandingRow, ...]:
        """Return a row for each user; `wire.Malformed` if a standing is too long, or an index has none."""
        standings = [bytes(standing) for standing in self.standings]
        if any(len(standing) > MAX_STANDING_BYTES for standing in standings):
            raise wire.Malformed("not standings: one is too long")
        try:
            return tuple([StandingRow(user.user_id, user.version, standings[user.index]) for user in self.users])
        except IndexError:
            raise wire.Malformed("not standings: a user's is missing") from None

    def result(self) -> Standings:
        """Return what `Store.standings` returns; `wire.Malformed` if the answer does not fit together."""
        return Standings(self.cursor, instant(self.at), read_view(self.view), self.rows())


class StandingsListAnswer(StandingsAnswer, frozen=True, kw_only=True):
    """A page of standings of all users, in order of their ids. `after` is where to go on; null after the last page."""

    after: UserId | None

    def page(self) -> StandingsPage:
        """Return what `Store.list_standings` returns; `wire.Malformed` if the answer does not fit together."""
        return StandingsPage(self.cursor, instant(self.at), read_view(self.view), self.rows(), self.after)


PATHS: dict[type[Question], str] = {
    StandingsQuestion: "/v1/standings/load",
    StandingsListQuestion: "/v1/standings/list",
}

for kind in (*PATHS, StandingsAnswer, StandingsListAnswer):
    wire.prepared(kind)

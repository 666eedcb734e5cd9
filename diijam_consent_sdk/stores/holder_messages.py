"""The messages of the HTTP protocol that are about holders and the erasures that they owe; see `messages`."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import Meta

from ..due import OwedErasure
from ..holders import RegisteredHolder
from ..identifiers import MAX_ID_CHARACTERS, identifier
from ..vocabulary import Field, instant
from . import wire
from .answers import ErasurePlace, OwedErasures
from .checks import checked_place
from .message_fields import MAX_USERS, Answer, Question, UserId

HolderName = Annotated[str, Meta(min_length=1, max_length=MAX_ID_CHARACTERS, description="The name of a holder.")]


class Place(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, gc=False):
    """A place in the list of what a holder owes: the time an erasure is due, null for none, and the user's id."""

    due_at: datetime | None
    user_id: UserId

    def result(self) -> ErasurePlace:
        """Return the place for `Store.erasures`. Raises `ValueError` if its time has no zone or its id is malformed."""
        return checked_place((self.due_at, self.user_id))


class RegisterHolderQuestion(Question, frozen=True, kw_only=True):
    """Register who has copies of customers' data. `by` counts only from a token of scope `relay`."""

    holder: HolderName
    by: Annotated[str, Meta(min_length=1, max_length=MAX_ID_CHARACTERS)] | None = None


class RetireHolderQuestion(Question, frozen=True, kw_only=True):
    """Remove a holder, which then owes nothing. One that is not registered changes nothing."""

    holder: HolderName


class ListHoldersQuestion(Question, frozen=True, kw_only=True):
    """All registered holders, in order of their names."""


class DueErasuresQuestion(Question, frozen=True, kw_only=True):
    """The erasures that the holder has yet to confirm after a place, in order of `due_at` and user id."""

    holder: HolderName
    after: Place | None = None
    limit: Annotated[int, Meta(ge=1, le=MAX_USERS)] = MAX_USERS


class KnownHolder(msgspec.Struct, frozen=True, kw_only=True):
    """A registered holder."""

    holder: str
    registered_at: datetime
    by: str | None

    def result(self) -> RegisteredHolder:
        """Return the holder as a store does. Raises `ValueError` if its name is malformed or its time has no zone."""
        return RegisteredHolder(identifier(self.holder), instant(self.registered_at), self.by)


class RegisterHolderAnswer(Answer, frozen=True, kw_only=True):
    """The registration: the first one, if the holder was registered before."""

    holder: KnownHolder


class RetireHolderAnswer(Answer, frozen=True, kw_only=True):
    """The holder is not registered any more."""


class ListHoldersAnswer(Answer, frozen=True, kw_only=True):
    """The holders."""

    holders: list[KnownHolder]


class DueErasure(msgspec.Struct, frozen=True, kw_only=True):
    """
    A user whose data the holder has yet to erase. `due_at` is null if the account was closed and nobody asked for
    erasure. `kept` are the fields that live holds keep. `began_at` is what the confirmation names.
    """

    user_id: str
    due_at: datetime | None
    kept: list[Field]
    began_at: datetime

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"

    def result(self) -> OwedErasure:
        """Return the erasure as a store does. Raises `ValueError` if its id is malformed or its time has no zone."""
        due_at = None if self.due_at is None else instant(self.due_at)
        return OwedErasure(identifier(self.user_id), due_at, frozenset(self.kept), instant(self.began_at))


class DueErasuresAnswer(Answer, frozen=True, kw_only=True):
    """A page of what the holder owes, as of the store's time `at`. `after` is where to go on; null at the end."""

    at: datetime
    erasures: list[DueErasure]
    after: Place | None

    def result(self) -> OwedErasures:
        """Return what `Store.erasures` returns; `ValueError` if a part of it is malformed."""
        after = None if self.after is None else self.after.result()
        return OwedErasures(instant(self.at), tuple(owed.result() for owed in self.erasures), after)


PATHS: dict[type[Question], str] = {
    RegisterHolderQuestion: "/v1/holders/register",
    RetireHolderQuestion: "/v1/holders/retire",
    ListHoldersQuestion: "/v1/holders/list",
    DueErasuresQuestion: "/v1/erasures/due",
}

for kind in (*PATHS, RegisterHolderAnswer, RetireHolderAnswer, ListHoldersAnswer, DueErasuresAnswer):
    wire.prepared(kind)


def known_holder(registered: RegisteredHolder) -> KnownHolder:
    """Describe a registered holder for an answer."""
    return KnownHolder(holder=registered.holder, registered_at=registered.registered_at, by=registered.by)


def due_erasure(owed: OwedErasure) -> DueErasure:
    """Describe what a holder owes for an answer."""
    return DueErasure(user_id=owed.user_id, due_at=owed.due_at, kept=sorted(owed.kept), began_at=owed.began_at)

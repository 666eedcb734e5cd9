"""
What the messages of the HTTP protocol share: limits of size, types of fields, the bases of questions and answers.

The service, `HttpStore` and the OpenAPI document take the limits from here, so that they agree.
"""

from __future__ import annotations

from typing import Annotated, ClassVar

import msgspec
from msgspec import Meta

from ..identifiers import MAX_ID_CHARACTERS
from ..policy import MAX_EVENTS
from ..standing import View, view_from
from . import wire
from .answers import MAX_LOAD_BYTES

MAX_USERS = 1_000  # in one load
MAX_WORDS = 64  # in one set of an event, each counted as often as it occurs
MAX_CHANGES = 1_000  # entries in one answer of `changes`
MAX_WAIT_SECONDS = 60.0  # of one long poll
MAX_STREAM_SECONDS = 300.0  # of a poll that is answered in parts
MIN_BEAT_SECONDS, MAX_BEAT_SECONDS = 0.05, 60.0  # between two parts without news
SMALL_BODY_BYTES = 2**16  # of a question that asks about one thing
LOAD_BODY_BYTES = 2**20  # which `MAX_USERS` of the longest ids fit in
APPEND_BODY_BYTES = 9 * 2**18  # which `MAX_EVENTS` of the largest events fit in
MAX_BODY_BYTES = 4 * 2**20  # of any question: the largest notice, each of its characters escaped, fits in
MAX_ANSWER_BYTES = MAX_LOAD_BYTES  # of the items of one answer
PAGE_BYTES = 4 * 2**20  # past which a page ends, so that it can be read within a deadline

Nonce = Annotated[str, Meta(min_length=16, max_length=64, description="Fresh for each question; the answer echoes it.")]
UserId = Annotated[str, Meta(min_length=1, max_length=MAX_ID_CHARACTERS, description="Whose record this is about.")]
# The size of an event is limited before it is read: nothing nested, few fields and small sets.
EventFields = Annotated[
    dict[str, str | bool | Annotated[list[str], Meta(max_length=MAX_WORDS)] | None],
    Meta(
        max_length=16,
        description="An event: its class name under `type`, its fields beside it.",
        examples=[{"type": "Granted", "purpose": "marketing", "notice": "promo-2026-11", "channels": ["email"]}],
    ),
]

AppendedEvents = Annotated[list[EventFields], Meta(min_length=1, max_length=MAX_EVENTS)]
ExpectedVersion = Annotated[int, Meta(ge=0)]
IdempotencyKey = Annotated[str, Meta(min_length=1, max_length=MAX_ID_CHARACTERS)]
ProvenanceFields = Annotated[
    dict[str, str | None],
    Meta(max_length=8, description="Who wrote an entry, and how the customer said it."),
]

ViewNames = Annotated[
    list[Annotated[str, Meta(max_length=64)]],
    Meta(description="The asks that the token is entitled to, by their scopes; `ask` alone is every ask."),
]


class Question(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The field of every question. One of more than `max_bytes` is refused before it is read."""

    max_bytes: ClassVar[int] = SMALL_BODY_BYTES

    nonce: Nonce

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"  # its fields hold ids of users


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """The field of every answer."""

    nonce: str

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"  # as above


def read_view(names: list[str]) -> View:
    """Read the view that an answer names; `wire.Malformed` if it names another scope."""
    try:
        return view_from(names)
    except ValueError:
        raise wire.Malformed("a view is of scopes for asks") from None

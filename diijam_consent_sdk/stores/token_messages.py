"""The question of the protocol about the token that asks it; see `messages`."""

from __future__ import annotations

from datetime import datetime

import attrs

from ..vocabulary import instant
from . import wire
from .message_fields import Answer, Question


@attrs.frozen
class OwnToken:
    """What a token is: its name, its scopes, and its end (UTC; None: it has none), at the service's time `at`."""

    name: str
    scopes: tuple[str, ...]
    expires_at: datetime | None
    at: datetime


class TokenQuestion(Question, frozen=True, kw_only=True):
    """What this token is."""


class TokenAnswer(Answer, frozen=True, kw_only=True):
    """The token's name, scopes and end (null: none), and the service's time."""

    name: str
    scopes: list[str]
    expires_at: datetime | None
    at: datetime

    def result(self) -> OwnToken:
        """Return what `HttpStore.own_token` returns."""
        end = None if self.expires_at is None else instant(self.expires_at)
        return OwnToken(self.name, tuple(self.scopes), end, instant(self.at))


PATHS: dict[type[Question], str] = {TokenQuestion: "/v1/token"}

for kind in (TokenQuestion, TokenAnswer):
    wire.prepared(kind)

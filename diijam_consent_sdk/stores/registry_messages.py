"""The messages of the HTTP protocol that are about the registry of notices; see `messages`."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, ClassVar

import msgspec
from msgspec import Meta

from ..identifiers import MAX_ID_CHARACTERS, MAX_TAG_CHARACTERS
from ..notices import MAX_LANGUAGES, MAX_TEXT_BYTES, NoticeText, RegisteredNotice
from ..vocabulary import Field, Purpose, instant
from . import wire
from .message_fields import MAX_BODY_BYTES, MAX_WORDS, Answer, Question
from .registry import MAX_NOTICES_PAGE

NoticeId = Annotated[str, Meta(min_length=1, max_length=MAX_ID_CHARACTERS, description="The id of a notice.")]
Fields = Annotated[list[Field], Meta(max_length=MAX_WORDS)]
Texts = Annotated[
    dict[
        Annotated[str, Meta(max_length=MAX_TAG_CHARACTERS)],
        Annotated[str, Meta(min_length=1, max_length=MAX_TEXT_BYTES)],
    ],
    Meta(
        min_length=1,
        max_length=MAX_LANGUAGES,
        description="The exact text in each language, by BCP 47 tag; each at most 65,536 bytes of UTF-8.",
    ),
]


class RegisterNoticeQuestion(Question, frozen=True, kw_only=True):
    """Register a notice. The digest is over the first six fields. `by` counts only from a token of scope `relay`."""

    max_bytes: ClassVar[int] = MAX_BODY_BYTES

    notice: NoticeId
    texts: Texts
    purposes: Annotated[list[Purpose], Meta(min_length=1, max_length=MAX_WORDS)]
    data: Fields = msgspec.field(default_factory=list)
    recipient: Annotated[str, Meta(min_length=1, max_length=MAX_ID_CHARACTERS)] | None = None
    sensitive: Fields = msgspec.field(default_factory=list)
    by: Annotated[str, Meta(min_length=1, max_length=MAX_ID_CHARACTERS)] | None = None

    def text(self) -> NoticeText:
        """Make the notice; `wire.Malformed` if the fields make none."""
        return _text(self, self.texts)


class LoadNoticesQuestion(Question, frozen=True, kw_only=True):
    """One notice with its texts; or, for null, a page of all without, in order of ids, from after `after` on."""

    notice: NoticeId | None
    after: NoticeId | None = None
    limit: Annotated[int, Meta(ge=1, le=MAX_NOTICES_PAGE)] = MAX_NOTICES_PAGE


class RequireNoticesQuestion(Question, frozen=True, kw_only=True):
    """Refuse, for good, consents and sharings that name no registered notice."""


class RegisterNoticeAnswer(Answer, frozen=True, kw_only=True):
    """The registration: the first one, if the notice was registered before."""

    notice: str
    digest: str
    registered_at: datetime
    by: str | None


class KnownNotice(msgspec.Struct, frozen=True, kw_only=True):
    """A registered notice; in a list without `texts`."""

    notice: str
    languages: list[str]
    purposes: list[Purpose]
    data: list[Field]
    recipient: str | None
    sensitive: list[Field]
    digest: str
    registered_at: datetime
    by: str | None
    texts: dict[str, str] | msgspec.UnsetType = msgspec.UNSET

    def result(self) -> RegisteredNotice:
        """Return what `Notices.notice` returns; `wire.Malformed` if it is not what its digest says."""
        if isinstance(self.texts, msgspec.UnsetType):
            raise wire.Malformed("a notice without its texts")
        text = _text(self, self.texts)
        if text.digest != self.digest:
            raise wire.Malformed("a notice is not what its digest says")
        return RegisteredNotice(text, self.digest, instant(self.registered_at), self.by)


class LoadNoticesAnswer(Answer, frozen=True, kw_only=True):
    """The notices. `after` is the id to go on from; null if there are no more, or if one was asked for."""

    notices: list[KnownNotice]
    after: str | None


class RequireNoticesAnswer(Answer, frozen=True, kw_only=True):
    """It is required."""


PATHS: dict[type[Question], str] = {
    RegisterNoticeQuestion: "/v1/notices/register",
    LoadNoticesQuestion: "/v1/notices/load",
    RequireNoticesQuestion: "/v1/notices/require",
}

for kind in (*PATHS, RegisterNoticeAnswer, LoadNoticesAnswer, RequireNoticesAnswer):
    wire.prepared(kind)


def _text(fields: RegisterNoticeQuestion | KnownNotice, texts: dict[str, str]) -> NoticeText:
    try:
        return NoticeText(fields.notice, texts, fields.purposes, fields.data, fields.recipient, fields.sensitive)
    except (TypeError, ValueError) as error:
        raise wire.Malformed(f"a notice: {error}") from None


def known_notice(registered: RegisteredNotice, *, with_texts: bool) -> KnownNotice:
    """Describe a registered notice for an answer."""
    text = registered.text
    return KnownNotice(
        notice=text.notice, languages=sorted(text.texts), purposes=sorted(text.purposes), data=sorted(text.data),
        recipient=text.recipient, sensitive=sorted(text.sensitive), digest=registered.digest,
        registered_at=registered.registered_at, by=registered.by,
        texts=dict(text.texts) if with_texts else msgspec.UNSET,
    )  # fmt: skip

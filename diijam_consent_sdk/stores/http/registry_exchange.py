"""The exchanges with a consent service about its registry of notices; see `exchange`."""

from __future__ import annotations

from ...errors import InvalidEvent
from ...identifiers import identifier, optional_identifier
from ...notices import NoticeText, RegisteredNotice, registering_refusal
from ...vocabulary import instant
from .. import registry_messages as messages
from ..checks import checked_limit
from ..registry import MAX_NOTICES_PAGE
from .exchange import Exchange, Mismatched


def register_notice(text: NoticeText, by: str | None) -> Exchange:
    """Build `Notices.register_notice`. It may be repeated: the same content again is the same registration."""
    if not isinstance(text, NoticeText):
        raise TypeError(f"a NoticeText is needed, not {type(text).__name__}")
    refused = registering_refusal(text)
    if refused is not None:
        raise InvalidEvent(f"the notice is refused: {refused}")

    def read(answer: messages.RegisterNoticeAnswer) -> RegisteredNotice:
        if (answer.notice, answer.digest) != (text.notice, text.digest):
            raise Mismatched
        return RegisteredNotice(text, answer.digest, instant(answer.registered_at), answer.by)

    fields = {**text.content(), "by": optional_identifier(by)}
    return Exchange(
        messages.RegisterNoticeQuestion, fields, messages.RegisterNoticeAnswer, read,
        is_write=True, idempotency_key=text.digest,
    )  # fmt: skip


def notice(notice: str) -> Exchange:
    """Build `Notices.notice`."""
    notice = identifier(notice)

    def read(answer: messages.LoadNoticesAnswer) -> RegisteredNotice | None:
        if [known.notice for known in answer.notices] not in ([], [notice]):
            raise Mismatched
        return answer.notices[0].result() if answer.notices else None

    return Exchange(messages.LoadNoticesQuestion, {"notice": notice}, messages.LoadNoticesAnswer, read)


def notice_ids(after: str | None, limit: int) -> Exchange:
    """Build the list of the ids on one page of `Notices.notices`, whose texts are then loaded one by one."""
    after = optional_identifier(after)

    def read(answer: messages.LoadNoticesAnswer) -> list[str]:
        ids = [identifier(known.notice) for known in answer.notices]
        if ids != sorted(set(ids)) or (ids and after is not None and ids[0] <= after):
            raise Mismatched
        return ids

    fields = {"notice": None, "after": after, "limit": min(checked_limit(limit), MAX_NOTICES_PAGE)}
    return Exchange(messages.LoadNoticesQuestion, fields, messages.LoadNoticesAnswer, read)


def require_notices() -> Exchange:
    """Build `Notices.require_notices`."""
    return Exchange(
        messages.RequireNoticesQuestion, {}, messages.RequireNoticesAnswer, lambda _: None,
        is_write=True, idempotency_key="notices",
    )  # fmt: skip

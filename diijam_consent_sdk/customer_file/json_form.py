"""A customer's file as JSON: the values of the ledger, and beside them the words that the page has."""

from __future__ import annotations

from ..documents.json_text import Json, plain, plain_fields, write_json
from ..events import LedgerEntry
from ..notices import RegisteredNotice
from ..record import Request
from .answers import Answer, answers_at
from .contents import Contents
from .shown import named_notice


def encode(file: Contents) -> str:
    """Write a file as an indented object."""
    content: dict[str, Json] = {
        "user_id": file.user_id,
        "made_at": plain(file.made_at),
        "language": file.language,
        "head": file.head,
        "entries": [_entry(file, entry) for entry in file.entries],
        "notices": _notices(file),
        "now": [_answer(file, answer) for answer in answers_at(file.record, file.made_at)],
        "requests": [_request(file, request) for request in file.record.requests.values()],
        "holds": [
            {**plain_fields(hold), "is_live": hold.is_live(file.made_at)} for hold in file.record.holds.values()
        ],
    }  # fmt: skip
    return write_json(content)


def _entry(file: Contents, entry: LedgerEntry) -> Json:
    shown = file.words_shown(entry)
    return {
        "position": entry.position,
        "version": entry.version,
        "at": plain(entry.at),
        "words": file.describe(entry),
        "event": {"type": type(entry.event).__name__, **plain_fields(entry.event)},
        "provenance": plain_fields(entry.provenance),
        "shown_in": shown.tag if shown is not None and shown.is_asked else None,
        "notice_digest": entry.notice_digest,
        "hash": entry.hash,
    }


def _notices(file: Contents) -> list[Json]:
    """List each notice that is named. All its texts are there, since its digest is taken of them all."""
    named = dict.fromkeys(filter(None, map(named_notice, file.entries)))
    return [_notice(notice, file.notices.get(notice)) for notice in named]


def _notice(notice: str, registered: RegisteredNotice | None) -> Json:
    if registered is None:
        return {"notice": notice, "is_registered": False}
    return {
        "notice": notice,
        "is_registered": True,
        "digest": registered.digest,
        "registered_at": plain(registered.registered_at),
        "by": registered.by,
        "texts": dict(registered.text.texts),
        **{name: plain(getattr(registered.text, name)) for name in ("purposes", "data", "recipient", "sensitive")},
    }


def _answer(file: Contents, answer: Answer) -> Json:
    decision = answer.decision
    return {
        "ask": type(answer.ask).__name__.lower(),
        **plain_fields(answer.ask),
        "allowed": decision.allowed,
        "reason": str(decision.reason),
        "clause": decision.clause,
        "words": answer.describe(file.language),
    }


def _request(file: Contents, request: Request) -> Json:
    """Give a request with its state, which a resolved one has no more."""
    return {**plain_fields(request), "state": None if request.outcome is not None else str(request.state(file.made_at))}

"""
Sentences that customers read: what happened to their record, and what holds now, in Vietnamese and English.

A customer who asks what was recorded has a right to understand it, and the names of the ledger are for programs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime

import attrs

from .. import events as e
from ..decisions import Ask
from ..record import ConsentRecord
from ..sending import VIETNAM
from ..vocabulary import LANGUAGES, Language, Origin, Purpose, RequestKind, Word
from .texts import ANSWERS, SENTENCES, Pair

MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
)  # fmt: skip

# The sentence of each event, where it does not depend on what the event holds.
NAMES: Mapping[type[e.Event], str] = {
    e.AccountClosed: "closed", e.Granted: "granted", e.Withdrawn: "withdrawn", e.Objected: "objected",
    e.ObjectionLifted: "objection_lifted", e.Restricted: "restricted", e.RestrictionLifted: "restriction_lifted",
    e.Notified: "notified", e.Agreed: "agreed", e.AgreementWithdrawn: "agreement_withdrawn",
    e.Published: "published", e.Hidden: "hidden", e.RequestFiled: "filed", e.RequestReplied: "replied",
    e.RequestExtended: "extended", e.HoldPlaced: "hold_placed", e.HoldReleased: "hold_released",
    e.ErasureConfirmed: "erasure_confirmed",
}  # fmt: skip


def text_in(language: Language, texts: Pair) -> str:
    """Choose of a text in both languages the one in this language."""
    return texts[LANGUAGES.index(language)]


def list_labels(language: Language, words: Iterable[Word]) -> str:
    """Name several words of one vocabulary, in its order."""
    given = frozenset(words)
    return ", ".join(word.label(language) for kind in {type(word) for word in given} for word in kind if word in given)


def in_vietnam(at: datetime) -> datetime:
    """Return an instant in the time of Vietnam; in UTC if that lies past the year 9999."""
    try:
        return at.astimezone(VIETNAM)
    except OverflowError:
        return at


def format_day(language: Language, at: datetime) -> str:
    """Format a day in Vietnam: 03/03/2026, or 3 March 2026."""
    day = in_vietnam(at)
    return f"{day:%d/%m}/{day.year:04}" if language == "vi" else f"{day.day} {MONTHS[day.month - 1]} {day.year}"


def format_instant(language: Language, at: datetime) -> str:
    """Format an instant with its zone: 12:00:05 ngày 03/03/2026 (GMT+7), or 3 March 2026, 12:00:05 (GMT+7)."""
    local, day = in_vietnam(at), format_day(language, at)
    zone = "GMT+7" if local.tzinfo is VIETNAM else "UTC"
    return f"{local:%H:%M:%S} ngày {day} ({zone})" if language == "vi" else f"{day}, {local:%H:%M:%S} ({zone})"


def format_briefly(language: Language, at: datetime) -> str:
    """Format an instant to the minute, where the zone is given beside: 12:00, 03/03/2026, or 3 March 2026, 12:00."""
    local, day = in_vietnam(at), format_day(language, at)
    zone = "" if local.tzinfo is VIETNAM else " UTC"
    return f"{local:%H:%M}{zone}, {day}" if language == "vi" else f"{day}, {local:%H:%M}{zone}"


def describe_event(language: Language, event: e.Event, record: ConsentRecord) -> str:
    """
    Say in whole sentences what happened.

    Args:
        language: "vi" or "en".

        event: What happened.

        record: The user's record then or later, which has the notices, requests and holds that the event names.
    """
    words = {**attrs.asdict(event, recurse=False), **_words_of_record(event, record)}
    return " ".join(_say(language, SENTENCES[key], words) for key in _sentences(event))


def describe_answer(language: Language, ask: Ask, *, is_allowed: bool) -> str:
    """Say in one sentence what an answer allows, or does not."""
    yes, no = ANSWERS[type(ask)]
    return _say(language, yes if is_allowed else no, attrs.asdict(ask, recurse=False))


def _say(language: Language, texts: Pair, words: Mapping[str, object]) -> str:
    return text_in(language, texts).format_map({name: _text(language, word) for name, word in words.items()})


def _text(language: Language, value: object) -> str:
    if isinstance(value, RequestKind):
        return text_in(language, SENTENCES[value])
    if isinstance(value, Word):
        return value.label(language)
    if isinstance(value, frozenset):
        return list_labels(language, value) or text_in(language, SENTENCES["every_channel"])
    return format_instant(language, value) if isinstance(value, datetime) else str(value)


def _words_of_record(event: e.Event, record: ConsentRecord) -> dict[str, object]:
    """Give what an event names by its id alone."""
    match event:
        case e.Agreed(notice) | e.AgreementWithdrawn(notice):
            return {"recipient": record.notices[notice].recipient}
        case e.RequestReplied(request) | e.RequestExtended(request) | e.RequestResolved(request):
            return {"kind": record.requests[request].kind}
        case e.HoldReleased(hold):
            return {"kind": record.holds[hold].kind}
        case _:
            return {}


def _sentences(event: e.Event) -> Iterator[str]:
    """Yield the keys of the sentences that tell an event."""
    match event:
        case e.AccountOpened(origin):
            yield "opened" if origin is Origin.DIRECT else "opened_through"
        case e.Granted(purpose) | e.Withdrawn(purpose):
            yield NAMES[type(event)] + ("_marketing" if purpose is Purpose.MARKETING else "")
        case e.Restricted(data) | e.RestrictionLifted(data):
            yield NAMES[type(event)] + ("_all" if data is None else "")
        case e.RequestResolved(outcome=outcome, reason=reason):
            yield outcome
            if reason is not None:
                yield "reason"
        case e.Erased(anonymised):
            yield "anonymised" if anonymised else "erased"
        case _:
            yield NAMES[type(event)]
    for field in ("expires_at", "until", "received_at"):
        if getattr(event, field, None) is not None:
            yield field
    if getattr(event, "processor", False):
        yield "processor"

"""A customer's whole history, in words."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import assert_never

import attrs

from diijam_consent_sdk import Method, Outcome, Purpose, RequestKind
from diijam_consent_sdk import events as e
from diijam_consent_sdk.wording import in_vietnam
from diijam_consent_sdk.wording.provenance import import_claim, provenance_facts

from .customers import partner
from .holders import holder_name
from .words import Words


@attrs.frozen
class Line:
    """One entry of the timeline. `tone`: yes, no or plain."""

    time: str
    is_diijams: bool
    tone: str
    text: str
    until: str
    how: str


@attrs.frozen
class Day:
    """The entries of one day, the newest first."""

    date: str
    lines: Sequence[Line]


DIIJAMS = (e.Notified, e.RequestReplied, e.RequestExtended, e.HoldPlaced, e.HoldReleased, e.ErasureConfirmed, e.Erased)
TONES: dict[str, tuple[type, ...]] = {
    "yes": (e.Granted, e.Agreed, e.Published, e.ObjectionLifted, e.RestrictionLifted),
    "no": (e.Withdrawn, e.AgreementWithdrawn, e.Hidden, e.Objected, e.Restricted),
}


def days(history: Sequence[e.LedgerEntry], words: Words) -> list[Day]:
    """The history, day by day in the time of Vietnam, the newest first."""
    by_day = groupby(reversed(history), key=lambda entry: in_vietnam(entry.at).date())
    return [
        Day(words.day(entries[0].at), [_line(entry, history, words) for entry in entries])
        for entries in (list(group) for _, group in by_day)
    ]


def _line(entry: e.LedgerEntry, history: Sequence[e.LedgerEntry], words: Words) -> Line:
    event = entry.event
    is_staffs = entry.provenance.method is Method.STAFF
    answered = isinstance(event, e.RequestResolved) and (event.outcome is not Outcome.CANCELLED or is_staffs)
    tone = next((tone for tone, types in TONES.items() if isinstance(event, types)), "plain")
    expires_at = getattr(event, "expires_at", None) or getattr(event, "until", None)
    until = words("state.until", date=words.day(expires_at)) if expires_at else ""
    sentence = _sentence(event, history, words)
    return Line(words.time(entry.at), isinstance(event, DIIJAMS) or answered, tone, sentence, until, _how(entry, words))


def _how(entry: e.LedgerEntry, words: Words) -> str:
    """How it was said and who wrote it, as far as the ledger has it."""
    facts = " · ".join(f"{name}: {value}" for name, value in provenance_facts(words.language, entry.provenance))
    return f"{facts} {import_claim(words.language, entry.provenance)}".strip()


Case = (
    e.AccountOpened | e.AccountClosed | e.RequestFiled | e.RequestReplied | e.RequestExtended | e.RequestResolved
    | e.HoldPlaced | e.HoldReleased | e.ErasureConfirmed | e.Erased
)  # fmt: skip


def _sentence(event: e.Event, history: Sequence[e.LedgerEntry], words: Words) -> str:  # noqa: C901, PLR0911, PLR0912 - a row each
    match event:
        case e.Granted(Purpose.MARKETING, channels=channels):
            return words("said.granted_channels", channels=words.listed("channel", channels, ".phrase"))
        case e.Granted(purpose):
            return words("said.granted", purpose=_for(purpose, words))
        case e.Withdrawn(Purpose.MARKETING, channels=channels) if channels:
            return words("said.withdrawn_channels", channels=words.listed("channel", channels, ".phrase"))
        case e.Withdrawn(Purpose.MARKETING):
            return words("said.withdrawn_all")
        case e.Withdrawn(purpose):
            return words("said.withdrawn", purpose=_for(purpose, words))
        case e.Objected(purpose):
            return words("said.objected", purpose=_for(purpose, words))
        case e.ObjectionLifted(purpose):
            return words("said.objection_lifted", purpose=_for(purpose, words))
        case e.Restricted(data):
            return words("said.restricted_all") if data is None else words("said.restricted", fields=words.fields(data))
        case e.RestrictionLifted(None):
            return words("said.restriction_lifted_all")
        case e.RestrictionLifted(data):
            return words("said.restriction_lifted", fields=words.fields(data or ()))
        case e.Notified(_, recipient, data, purpose):
            told = {"recipient": partner(recipient), "purpose": _for(purpose, words), "fields": words.fields(data)}
            return words("said.notified", **told)
        case e.Agreed(notice):
            return words("said.agreed", recipient=_recipient(notice, history))
        case e.AgreementWithdrawn(notice):
            return words("said.agreement_withdrawn", recipient=_recipient(notice, history))
        case e.Published(field):
            return words("said.published", fields=words.fields([field]))
        case e.Hidden(field):
            return words("said.hidden", fields=words.fields([field]))
        case _:
            return _case_sentence(event, history, words)


def _case_sentence(event: Case, history: Sequence[e.LedgerEntry], words: Words) -> str:  # noqa: C901, PLR0911 - a row each
    """Word what happened to the account, a request or a hold."""
    match event:
        case e.AccountOpened(origin):
            return words(f"said.opened_{origin}")
        case e.AccountClosed():
            return words("said.closed")
        case e.RequestFiled(_, RequestKind.COMPLAINT):
            return words("said.filed_complaint")
        case e.RequestFiled(_, kind):
            return words("said.filed", kind=words(f"kind.{kind}.name"))
        case e.RequestReplied(request):
            return words("said.replied", kind=_kind(request, history, words))
        case e.RequestExtended(request):
            return words("said.extended", kind=_kind(request, history, words))
        case e.RequestResolved(request, outcome):
            return words(f"said.{outcome}", kind=_kind(request, history, words))
        case e.HoldPlaced(_, kind, data):
            return words("said.hold_placed", kind=words(f"hold.{kind}"), fields=words.fields(data))
        case e.HoldReleased(hold):
            return words("said.hold_released", kind=_hold(hold, history, words))
        case e.ErasureConfirmed(holder):
            return words("said.erasure_confirmed", holder=holder_name(holder, words))
        case e.Erased(anonymised):
            return words("said.anonymised" if anonymised else "said.erased")
        case _:
            assert_never(event)


def _for(purpose: Purpose, words: Words) -> str:
    return words(f"purpose.{purpose}.phrase")


# An answer names what it answers by id alone; the ledger took it only after that was in the history.


def _recipient(notice: str, history: Sequence[e.LedgerEntry]) -> str:
    events = (entry.event for entry in history)
    return next(partner(told.recipient) for told in events if isinstance(told, e.Notified) and told.notice == notice)


def _kind(request: str, history: Sequence[e.LedgerEntry], words: Words) -> str:
    events = (entry.event for entry in history)
    return next(
        words(f"kind.{filed.kind}.name")
        for filed in events
        if isinstance(filed, e.RequestFiled) and filed.request == request
    )


def _hold(hold: str, history: Sequence[e.LedgerEntry], words: Words) -> str:
    events = (entry.event for entry in history)
    return next(
        words(f"hold.{placed.kind}") for placed in events if isinstance(placed, e.HoldPlaced) and placed.hold == hold
    )

"""
The decision table once more, written from policy.md alone: in plain words, and over the ledger instead of the record.

It looks back through what happened for what was said last, and shares no table and no code with the library.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from functools import partial
from itertools import chain

from diijam_consent_sdk import events as e
from diijam_consent_sdk.decisions import Ask, Market, Process, Retain, Share, Show
from diijam_consent_sdk.vocabulary import Field

NEEDED_FOR_SERVICE = {"service_operation": 6, "payment": 4, "fraud_detection": 4, "troubleshooting": 4}  # to clause
CARRIED_BY = {
    "legal_obligation": ("legal", "tax", "accounting", "audit"),
    "dispute_resolution": ("dispute",),
    "debt_settlement": ("debt",),
}
REACHED_BY = {"email": "email", "message": "phone", "call": "phone", "notification": "device"}
PUBLISHABLE = ("full_name", "username", "avatar", "follower_count", "followers", "recently_followed_artists")


class Oracle:
    """What policy.md answers at an instant, about the user whose history is *ledger*."""

    def __init__(self, ledger: Sequence[e.LedgerEntry], at: datetime) -> None:
        self.ledger, self.at = ledger, at
        self.account = type(self._last(lambda said: isinstance(said, e.AccountOpened | e.AccountClosed | e.Erased)))
        self.restricted = {field for field in Field if self._is_restricted(field)}
        self.requests, self.holds = self._open_requests(), self._live_holds()

    def answer(self, ask: Ask) -> str:
        """Allow or deny, the reason and the clause, as the table writes them."""
        return next(chain(self._by_law(ask), self._by_account(ask), self._by_what_was_said(ask)))

    def _by_law(self, ask: Ask) -> Iterator[str]:
        """Rows 2 to 7."""
        account, requests, purpose = self.account, self.requests, _purpose(ask)
        if account is type(None):
            yield "deny UNKNOWN_USER, 3"
        if account is e.Erased:
            yield "deny ERASED, 6"
        if isinstance(ask, Show) and ask.field not in PUBLISHABLE:
            yield "deny NOT_PUBLISHABLE, 7"
        if isinstance(ask, Retain) and account is e.AccountOpened and "erasure" not in requests:
            yield "allow IN_SERVICE, 6"
        if isinstance(ask, Retain) and any(ask.field in hold.data for hold in self.holds):
            yield "allow HELD, 6"
        if isinstance(ask, Process) and purpose == "rights_handling":
            yield "allow HELD, 1" if requests else "deny NO_DUTY, 6"
        if isinstance(ask, Process) and purpose in CARRIED_BY:
            named = [hold.data for hold in self.holds if hold.kind in CARRIED_BY[purpose]]
            carried = ask.data is not None and any(ask.data.issubset(data) for data in named)
            yield "allow HELD, 6" if carried else "deny NO_DUTY, 6"

    def _by_account(self, ask: Ask) -> Iterator[str]:
        """Rows 8 to 11."""
        if "erasure" in self.requests:
            yield "deny ERASURE_REQUESTED, 1"
        if self.account is e.AccountClosed:
            yield "deny ACCOUNT_CLOSED, 6"
        if self.restricted == set(Field) or _touched(ask) & self.restricted:
            yield "deny RESTRICTED, 1"
        if isinstance(self._last(partial(_is_objection, purpose=_purpose(ask))), e.Objected):
            yield "deny OBJECTED, 1"

    def _by_what_was_said(self, ask: Ask) -> Iterator[str]:
        """Rows 12 to 17."""
        purpose = _purpose(ask)
        if isinstance(ask, Show):
            yield "allow PUBLISHED, 7" if self._is_published(ask.field) else "deny NOT_PUBLISHED, 7"
        if isinstance(ask, Share):
            yield self._shared(ask)
        if purpose in NEEDED_FOR_SERVICE:
            yield f"allow NEEDED_FOR_SERVICE, {NEEDED_FOR_SERVICE[purpose]}"
        consent = self._standing(partial(_is_consent, purpose=purpose, channel=getattr(ask, "channel", None)))
        yield {"live": "allow CONSENTED, 4", "never": "deny NOT_CONSENTED, 4"}.get(consent, f"deny {consent}, 4")

    def _last(self, matters: Callable[[e.Event], bool]) -> e.Event | None:
        return next((entry.event for entry in reversed(self.ledger) if matters(entry.event)), None)

    def _standing(self, matters: Callable[[e.Event], bool]) -> str:
        """What the last yes or no that matters comes to; closing ends each yes before it."""
        closed_since = False
        for entry in reversed(self.ledger):
            said = entry.event
            closed_since |= isinstance(said, e.AccountClosed)
            if isinstance(said, e.Withdrawn | e.AgreementWithdrawn) and matters(said):
                return "WITHDRAWN"
            if isinstance(said, e.Granted | e.Agreed) and matters(said):
                given = entry.at <= self.at and not closed_since
                run_out = said.expires_at is not None and said.expires_at <= self.at
                return ("EXPIRED" if run_out else "live") if given else "never"
        return "never"

    def _shared(self, ask: Share) -> str:
        told = [entry.event for entry in self.ledger if isinstance(entry.event, e.Notified)]
        told = [notice for notice in told if notice.recipient == ask.recipient]
        stands = [self._standing(partial(_is_agreement, notice=notice.notice)) for notice in told]
        agreed = [notice for notice, stand in zip(told, stands, strict=True) if stand == "live"]
        if any(notice.purpose == ask.purpose and ask.data.issubset(notice.data) for notice in agreed):
            return "allow AGREED, 5"
        if agreed:
            return "deny BEYOND_NOTICE, 5"
        for stand, reason in (("WITHDRAWN", "WITHDRAWN"), ("EXPIRED", "EXPIRED"), ("never", "NOT_AGREED")):
            if stand in stands:
                return f"deny {reason}, 5"
        return "deny NOT_NOTIFIED, 5"

    def _open_requests(self) -> list[str]:
        said = [entry.event for entry in self.ledger]
        resolved = [event.request for event in said if isinstance(event, e.RequestResolved)]
        return [event.kind for event in said if isinstance(event, e.RequestFiled) and event.request not in resolved]

    def _live_holds(self) -> list[e.HoldPlaced]:
        released = [entry.event.hold for entry in self.ledger if isinstance(entry.event, e.HoldReleased)]
        placed = [entry.event for entry in self.ledger if entry.at <= self.at and isinstance(entry.event, e.HoldPlaced)]
        return [hold for hold in placed if hold.hold not in released and not (hold.until and hold.until <= self.at)]

    def _is_restricted(self, field: Field) -> bool:
        last = self._last(
            lambda said: (
                isinstance(said, e.Restricted | e.RestrictionLifted) and (said.data is None or field in said.data)
            )
        )
        return isinstance(last, e.Restricted)

    def _is_published(self, field: Field) -> bool:
        last = self._last(
            lambda said: (
                isinstance(said, e.AccountClosed) or (isinstance(said, e.Published | e.Hidden) and said.field == field)
            )
        )
        return isinstance(last, e.Published)


def _purpose(ask: Ask) -> str:
    return "" if isinstance(ask, Show | Retain) else ask.purpose


def _touched(ask: Ask) -> set[str]:
    if isinstance(ask, Show | Retain):
        return {ask.field}
    if ask.data is None:
        return set(Field)
    return {*ask.data, *([REACHED_BY[ask.channel]] if isinstance(ask, Market) else [])}


def _is_objection(said: e.Event, purpose: str) -> bool:
    return isinstance(said, e.Objected | e.ObjectionLifted) and said.purpose == purpose


def _is_agreement(said: e.Event, notice: str) -> bool:
    return isinstance(said, e.Agreed | e.AgreementWithdrawn) and said.notice == notice


def _is_consent(said: e.Event, purpose: str, channel: str | None) -> bool:
    """Whether a grant or withdrawal is about this purpose, and this channel if there is one; a no without is of all."""
    if not isinstance(said, e.Granted | e.Withdrawn) or said.purpose != purpose:
        return False
    return channel is None or channel in said.channels or not said.channels

"""
A user's record: the fold of that user's events, the events that it refuses, and what holds at an instant.

Refusals and the fold are two tables with a row for each kind of event, as in the policy, so that they can be compared.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import chain, takewhile
from typing import Any, ClassVar, TypeVar, assert_never

import attrs

from . import events as e
from .holders import ERASING, NO_HOLDERS, Erasure, HolderRegistry, erasure_after, holder_refusals
from .identifiers import list_ids
from .notices import UNREGISTERED, NoticeRegistry, notice_refusals
from .policy import (
    BASIS,
    DUE_SOON_SHARE,
    MAX_HOLDS,
    MAX_NOTICES,
    MAX_OPEN_REQUESTS,
    MAX_REQUESTS,
    PUBLISHABLE,
    TIME_LIMITS,
    Basis,
)
from .vocabulary import Account, Channel, Field, HoldKind, Origin, Outcome, Purpose, Reason, RequestKind, RequestState

EVERY_FIELD = frozenset(Field)
END_OF_TIME = datetime.max.replace(tzinfo=UTC)
UNSAID: dict[str, Any] = dict.fromkeys(("given_at", "expires_at", "withdrawn_at", "entry_version", "said_at"))
ACCEPTED_WHEN_UNKNOWN = (  # among them every way to say no, since a no needs no account
    e.AccountOpened, e.Withdrawn, e.Objected, e.Restricted, e.Hidden,
    e.RequestFiled, e.RequestReplied, e.RequestExtended, e.RequestResolved, e.ErasureConfirmed, e.Erased,
)  # fmt: skip
ACCEPTED_WHEN_CLOSED = (
    e.AccountOpened, e.Withdrawn, e.AgreementWithdrawn, e.Objected, e.Restricted, e.Hidden,
    e.RequestFiled, e.RequestReplied, e.RequestExtended, e.RequestResolved,
    e.HoldPlaced, e.HoldReleased, e.ErasureConfirmed, e.Erased,
)  # fmt: skip
NOT_ERASING = "no erasure is pending and the account is not closed"


def consent_key(purpose: Purpose, channel: Channel | None) -> str:
    """Return the key in `ConsentRecord.consents` for a purpose, and for marketing over a channel."""
    return str(purpose) if channel is None else f"{purpose}:{channel}"


def consent_channels(purpose: Purpose, channels: Iterable[Channel]) -> tuple[Channel | None, ...]:
    """List what a yes or no to a purpose is about: for marketing these channels, or all if it names none."""
    return tuple(channels) or (tuple(Channel) if purpose is Purpose.MARKETING else (None,))


# No field below has a default: bytes that lack one must fail to decode, never read as "not restricted".


@attrs.frozen(kw_only=True)
class Said:
    """
    The user's word on one thing: where it stands, and how old it is. No answer depends on either.

    `entry_version` is the user's version of the entry of the last word, None if there is no word. `said_at` is None if
    any of the words was said here; if all were imported it is the latest time at which one was said, as the importers
    claim. An import never overrules what is as late, or was said here (docs/decision-table.md).
    """

    entry_version: int | None
    said_at: datetime | None


@attrs.frozen(kw_only=True)
class Permission(Said):
    """A yes or no of the user. Instants, here and below, are in UTC."""

    GIVEN: ClassVar[Reason]
    NEVER: ClassVar[Reason]
    given_at: datetime | None
    expires_at: datetime | None
    withdrawn_at: datetime | None

    def reason_at(self, at: datetime) -> Reason:
        """Return the reason that rows 13 to 17 of the decision table give for this one permission."""
        if self.withdrawn_at is not None:
            return Reason.WITHDRAWN
        if self.given_at is None or at < self.given_at:
            return self.NEVER
        return self.GIVEN if self.expires_at is None or at < self.expires_at else Reason.EXPIRED


@attrs.frozen(kw_only=True)
class Consent(Permission):
    """The user's last answer to one purpose, for marketing over one channel. Clause 4."""

    GIVEN: ClassVar[Reason] = Reason.CONSENTED
    NEVER: ClassVar[Reason] = Reason.NOT_CONSENTED
    purpose: Purpose
    channel: Channel | None
    notice: str | None


@attrs.frozen(kw_only=True)
class Notice(Permission):
    """A sharing that the user was notified of, and the user's last answer to it. Clause 5."""

    GIVEN: ClassVar[Reason] = Reason.AGREED
    NEVER: ClassVar[Reason] = Reason.NOT_AGREED
    notice: str
    recipient: str
    data: frozenset[Field]
    purpose: Purpose
    told_at: datetime


@attrs.frozen(kw_only=True)
class Publication(Said):
    """The user's last word on a field's being public, a yes or a no: `ConsentRecord.published` says which. Clause 7."""

    field: Field


@attrs.frozen(kw_only=True)
class Hold:
    """Data that must be kept from `placed_at` to before `until`, or until the hold is released. Clause 6."""

    hold: str
    kind: HoldKind
    data: frozenset[Field]
    placed_at: datetime
    until: datetime | None
    released_at: datetime | None

    def is_live(self, at: datetime) -> bool:
        """Whether the hold binds at this instant."""
        return self.released_at is None and self.placed_at <= at and (self.until is None or at < self.until)


@attrs.frozen(kw_only=True)
class Request:
    """
    What the user asked of Diijam, and until when Diijam owes a reply and the deed: clauses 1 and 2. Both times run from
    `received_at`, which is `filed_at` unless the request was typed in later. `extension_reason` is None if the request
    was not extended; `reason` is the outcome's.
    """

    request: str
    kind: RequestKind
    processor: bool
    filed_at: datetime
    received_at: datetime
    reply_due_at: datetime
    replied_at: datetime | None
    due_at: datetime
    extension_reason: str | None
    outcome: Outcome | None
    reason: str | None
    resolved_at: datetime | None

    @property
    def deadlines(self) -> list[datetime]:
        """The times by which the deed is due and, until it is given, the reply."""
        return [self.due_at] if self.replied_at is not None else [self.due_at, self.reply_due_at]

    def state(self, at: datetime) -> RequestState:
        """How the request, while it is open, stands to its deadlines at this instant: the worse of reply and deed."""
        if any(end <= at for end in self.deadlines):
            return RequestState.OVERDUE
        if any((end - at) * DUE_SOON_SHARE < end - self.received_at for end in self.deadlines):
            return RequestState.DUE_SOON
        return RequestState.ON_TRACK


@attrs.frozen(kw_only=True, slots=False)  # `fold` makes one from the `vars` of another in half the time
class ConsentRecord:
    """
    All that holds for one user. A record of version 0 has no events; an erased record is a tombstone without details.

    `consents` is keyed by purpose, for marketing by `marketing:<channel>`; `notices`, `holds`, `requests` by id;
    `publications` by field: of each that the user ever published or hid. `erasure` is there while an erasure request is
    open or the account is closed.
    """

    user_id: str = attrs.field(repr=False)
    version: int
    account: Account
    account_changed_at: datetime | None
    origin: Origin | None
    anonymised: bool
    consents: Mapping[str, Consent]
    objected: frozenset[Purpose]
    all_restricted: bool
    restricted: frozenset[Field]
    published: frozenset[Field]
    publications: Mapping[Field, Publication]
    notices: Mapping[str, Notice]
    holds: Mapping[str, Hold]
    requests: Mapping[str, Request]
    erasure: Erasure | None

    def open_requests(self) -> list[Request]:
        """The requests that are not resolved."""
        return [request for request in self.requests.values() if request.outcome is None]

    def is_erasing(self) -> bool:
        """Whether an erasure is pending."""
        return _has_erasure_request(self.requests.values())

    def is_all_restricted(self) -> bool:
        """Whether the user restricted all personal data, at once or field by field."""
        return self.all_restricted or self.restricted == EVERY_FIELD

    def publication(self, field: Field) -> Publication | bool:
        """The word by which the user made a field public, or whether it is public."""
        return field in self.published and self.publications.get(field, True)

    def sharings_with(self, recipient: str) -> list[Notice]:
        """The sharings with a recipient that the user was notified of."""
        return [notice for notice in self.notices.values() if notice.recipient == recipient]

    def live_holds(self, at: datetime) -> list[Hold]:
        """The holds that bind at this instant."""
        return [hold for hold in self.holds.values() if hold.is_live(at)]

    def next_change_at(self, at: datetime) -> datetime | None:
        """Return the next instant after *at* at which time alone changes an answer, or None."""
        permissions: tuple[Permission, ...] = (*self.consents.values(), *self.notices.values())
        ends = [p.expires_at for p in permissions if p.expires_at is not None and p.reason_at(at) is p.GIVEN]
        return min([*ends, *(hold.until for hold in self.live_holds(at) if hold.until is not None)], default=None)


def _has_erasure_request(requests: Iterable[Request]) -> bool:
    return any(request.outcome is None and request.kind is RequestKind.ERASURE for request in requests)


def unopened(user_id: str) -> ConsentRecord:
    """
    Make the record of an unknown user, from which a history is folded.

    `functools.reduce(fold, client.history(user_id), unopened(user_id))` is the record of that user.
    """
    return ConsentRecord(
        user_id=user_id, version=0, account=Account.UNKNOWN, account_changed_at=None, origin=None, anonymised=False,
        consents={}, objected=frozenset(), all_restricted=False, restricted=frozenset(), published=frozenset(),
        publications={}, notices={}, holds={}, requests={}, erasure=None,
    )  # fmt: skip


def refusal(
    record: ConsentRecord,
    event: e.Event,
    at: datetime,
    notices: NoticeRegistry = UNREGISTERED,
    provenance: e.Provenance = e.NO_PROVENANCE,
    *,
    holders: HolderRegistry = NO_HOLDERS,
) -> str | None:
    """
    Return why the policy refuses *event* on this record at this instant, or None if the event is accepted. *notices*
    are the registered ones that it may name, *provenance* says how it reached Diijam, *holders* are those registered.
    """
    tests = chain(
        _refusals(record, event, at),
        _import_refusals(record, event, at, provenance.said_at),
        _limits(record, event),
        notice_refusals(event, notices),
        _agreement_refusals(record, event, notices),
        holder_refusals(event, record.erasure, holders),
    )
    return next((reason for refused, reason in tests if refused), None)


def _refusals(record: ConsentRecord, event: e.Event, at: datetime) -> Iterator[tuple[bool, str]]:
    """Yield the tests of the policy's column "refused when", each with its reason."""
    account, opening = record.account, isinstance(event, e.AccountOpened)
    yield account is Account.ERASED, "the user was erased, and a user id is never used again"
    unknown = account is Account.UNKNOWN and not isinstance(event, ACCEPTED_WHEN_UNKNOWN)
    yield unknown, "the account was never opened: only opening, saying no and requests are accepted"
    yield account is Account.OPEN and opening, "the account is open already"
    closed = account is Account.CLOSED and not isinstance(event, ACCEPTED_WHEN_CLOSED)
    yield closed, "the account is closed: only opening, saying no, requests, holds and erasure are accepted"
    yield getattr(event, "data", None) == frozenset(), "the set of fields is empty"
    end = getattr(event, "expires_at", None) or getattr(event, "until", None)
    yield end is not None and end <= at, "expires_at or until is not in the future"
    match event:
        case e.Granted(purpose=purpose, channels=channels) | e.Withdrawn(purpose=purpose, channels=channels):
            yield BASIS[purpose] is not Basis.OPT_IN, f"{purpose} does not stand on consent"
            nowhere = isinstance(event, e.Granted) and purpose is Purpose.MARKETING and not channels
            yield nowhere, "consent to marketing names its channels"
            yield purpose is not Purpose.MARKETING and bool(channels), "only marketing has channels"
        case e.Objected(purpose) | e.ObjectionLifted(purpose):
            yield BASIS[purpose] is Basis.DUTY, f"{purpose} is a duty: there is no objection to it"
        case e.RestrictionLifted(data):
            some = data is not None and record.all_restricted
            yield some, "all data is restricted: lift all, then restrict what should stay"
        case e.Notified(notice, recipient, data, purpose):
            told = record.notices.get(notice)
            other = told is not None and (told.recipient, told.data, told.purpose) != (recipient, data, purpose)
            yield other, "this notice was told before with other content"
        case e.Agreed(notice) | e.AgreementWithdrawn(notice):
            yield notice not in record.notices, "this notice was not told beforehand"
        case e.Published(field):
            yield field not in PUBLISHABLE, f"{field} is never public"
        case e.RequestFiled(request, received_at=received_at):
            yield request in record.requests, "this request id is known already"
            yield received_at is not None and received_at > at, "received_at is in the future"
        case e.RequestReplied(request) | e.RequestExtended(request) | e.RequestResolved(request):
            known = record.requests.get(request)
            yield known is None or known.outcome is not None, "there is no such open request"
            if known is not None:
                yield from _refused_of(known, event, at)
        case e.HoldPlaced(hold):
            yield hold in record.holds, "this hold id is known already"
        case e.HoldReleased(hold):
            yield hold not in record.holds or not record.holds[hold].is_live(at), "there is no such live hold"
        case e.ErasureConfirmed():
            yield record.erasure is None, NOT_ERASING
        case e.Erased():
            yield record.erasure is None, NOT_ERASING
            holds = [hold.hold for hold in record.live_holds(at)]
            yield bool(holds), f"live holds keep the data, release them first: {list_ids(holds)}"


def _refused_of(
    request: Request, event: e.RequestReplied | e.RequestExtended | e.RequestResolved, at: datetime
) -> Iterator[tuple[bool, str]]:
    """What is refused of an open request."""
    match event:
        case e.RequestReplied():
            yield request.replied_at is not None, "the request was replied to already"
        case e.RequestExtended():
            yield request.extension_reason is not None, "the request was extended already: it is extended once"
            yield request.due_at <= at, "the request is past its due time: it is extended before"
        case e.RequestResolved(outcome=outcome, reason=reason):
            fulfilled = (request.kind, outcome) == (RequestKind.ERASURE, Outcome.FULFILLED)
            yield fulfilled, "an erasure is fulfilled by appending Erased"
            yield outcome is Outcome.REFUSED and reason is None, "a request is refused for a reason: give its id"


def _import_refusals(
    record: ConsentRecord, event: e.Event, at: datetime, said_at: datetime | None
) -> Iterator[tuple[bool, str]]:
    """Yield the tests of what was imported: an import never overrules the user's word on the same thing."""
    if said_at is None:
        return
    is_early = said_at > at and not e.is_no(event)  # an importer's clock that runs ahead loses no no
    yield is_early, "said_at is in the future: give the time at which the customer said it"
    reopening = record.account is Account.CLOSED and isinstance(event, e.AccountOpened)
    yield reopening, "the account is closed, and an import never reopens it: leave it out"
    yield _lifts(record, event), "an import never lifts an objection, restriction or erasure request: leave it out"
    for thing, said in _words_on(record, event):
        if said is None or said.entry_version is None:
            continue
        here = f"the customer's own word on {thing} is on record, and an import never overrules it: leave {thing} out"
        yield said.said_at is None, here
        late = f"a word on {thing} of the same time or later was imported already: leave {thing} out of this import"
        yield said.said_at is not None and said_at <= said.said_at, late


def _lifts(record: ConsentRecord, event: e.Event) -> bool:
    match event:
        case e.ObjectionLifted(purpose):
            return purpose in record.objected
        case e.RestrictionLifted(data):
            return record.all_restricted or bool(record.restricted & (data or EVERY_FIELD))
        case e.RequestResolved(request):
            return _has_erasure_request(filter(None, [record.requests.get(request)]))
        case _:
            return False


def _words_on(record: ConsentRecord, event: e.Event) -> Iterator[tuple[str, Said | None]]:
    """Yield each thing that *event* says yes to, and the user's word on it so far."""
    match event:
        case e.Granted(purpose=purpose, channels=channels):
            for channel in sorted(channels) or (None,):
                thing = str(purpose) if channel is None else f"{purpose} over {channel}"
                yield thing, record.consents.get(consent_key(purpose, channel))
        case e.Agreed(notice):
            yield "this notice", record.notices.get(notice)
        case e.Published(field):
            yield f"the publication of {field}", record.publications.get(field)


def _agreement_refusals(record: ConsentRecord, event: e.Event, notices: NoticeRegistry) -> Iterator[tuple[bool, str]]:
    """Yield the tests of an agreement whose notice was registered after it was told: the words have to say as much."""
    told = record.notices.get(event.notice) if isinstance(event, e.Agreed) else None
    if told is not None and told.notice in notices.terms:
        yield from notice_refusals(e.Notified(told.notice, told.recipient, told.data, told.purpose), notices)


def _limits(record: ConsentRecord, event: e.Event) -> Iterator[tuple[bool, str]]:
    """Yield the tests of how much one user may have, each with its reason."""
    match event:
        case e.Notified(notice):
            full = notice not in record.notices and len(record.notices) >= MAX_NOTICES
            yield full, f"the record has {MAX_NOTICES:,} notices: it takes no more"
        case e.HoldPlaced():
            yield len(record.holds) >= MAX_HOLDS, f"the record has {MAX_HOLDS:,} holds: it takes no more"
        case e.RequestFiled(kind=kind) if kind is not RequestKind.ERASURE or record.is_erasing():
            full = len(record.requests) >= MAX_REQUESTS
            yield full, f"the record has {MAX_REQUESTS:,} requests: it takes no more"
            full = len(record.open_requests()) >= MAX_OPEN_REQUESTS
            yield full, f"{MAX_OPEN_REQUESTS} requests are open: resolve some first"


def fold(record: ConsentRecord, entry: e.LedgerEntry) -> ConsentRecord:
    """Return the record after an accepted *entry*. Raises nothing for an event that `refusal` accepts."""
    was_erasing = record.erasure is not None and record.is_erasing()  # first, as the maps may be changed in place
    changes = {**_changes(record, entry), "version": entry.version}
    if isinstance(entry.event, ERASING):
        is_erasing = _has_erasure_request(changes.get("requests", record.requests).values())
        is_closed = changes.get("account", record.account) is Account.CLOSED
        changes["erasure"] = erasure_after(
            record.erasure, entry, was_erasing=was_erasing, is_erasing=is_erasing, is_closed=is_closed
        )
    return ConsentRecord(**{**vars(record), **changes})


def fold_all(record: ConsentRecord, entries: Iterable[e.LedgerEntry]) -> ConsentRecord:
    """Return the record after accepted *entries*. The maps are copied once, so the time is linear."""
    record = _with_maps(record, _Growing)
    for entry in entries:
        record = fold(record, entry)
    return _with_maps(record, dict)


def record_at(user_id: str, history: Sequence[e.LedgerEntry], at: datetime) -> ConsentRecord:
    """Return the record as it was at a past instant. An erased user's is the tombstone at every instant: clause 6."""
    if history and isinstance(history[-1].event, e.Erased):
        at = history[-1].at
    return fold_all(unopened(user_id), takewhile(lambda entry: entry.at <= at, history))


class _Growing(dict[str, Any]):
    """A map of one fold alone, so it is changed in place."""


def _with_maps(record: ConsentRecord, kind: type[dict[str, Any]]) -> ConsentRecord:
    return attrs.evolve(
        record, consents=kind(record.consents), notices=kind(record.notices), holds=kind(record.holds),
        requests=kind(record.requests),
    )  # fmt: skip


def _changes(record: ConsentRecord, entry: e.LedgerEntry) -> dict[str, Any]:
    """Return the fields of the record that an accepted entry changes, beside its version and erasure."""
    event, at = entry.event, entry.at
    match event:
        case e.AccountOpened(origin=origin):
            return {"account": Account.OPEN, "account_changed_at": at, "origin": origin}
        case e.AccountClosed():
            consents, notices = _end_all(record.consents), _end_all(record.notices)
            return {
                "account": Account.CLOSED, "account_changed_at": at,
                "consents": consents, "notices": notices, "published": frozenset(),
            }  # fmt: skip
        case e.Granted(purpose, notice, channels, expires_at):
            given = {"notice": notice, "given_at": at, "expires_at": expires_at, "withdrawn_at": None}
            return {"consents": _update_consents(record, purpose, channels, entry, given)}
        case e.Withdrawn(purpose, channels):
            withdrawn = {"withdrawn_at": at}
            return {"consents": _update_consents(record, purpose, channels, entry, withdrawn)}
        case e.Objected(purpose):
            return {"objected": record.objected | {purpose}}
        case e.ObjectionLifted(purpose):
            return {"objected": record.objected - {purpose}}
        case e.Restricted(data):
            everything = record.all_restricted or data is None
            return {"all_restricted": everything, "restricted": record.restricted | (data or frozenset())}
        case e.RestrictionLifted(data):
            return {"all_restricted": False, "restricted": record.restricted - (data or EVERY_FIELD)}
        case e.Notified(notice, recipient, data, purpose):
            told = Notice(notice=notice, recipient=recipient, data=data, purpose=purpose, told_at=at, **UNSAID)
            return {"notices": _put(record.notices, {notice: record.notices.get(notice, told)})}
        case e.Agreed(notice, expires_at):
            given = {"given_at": at, "expires_at": expires_at, "withdrawn_at": None}
            return {"notices": _answer_notice(record, notice, entry, given)}
        case e.AgreementWithdrawn(notice):
            return {"notices": _answer_notice(record, notice, entry, {"withdrawn_at": at})}
        case e.Published(field):
            publications = _update_publications(record, field, entry)
            return {"published": record.published | {field}, "publications": publications}
        case e.Hidden(field):
            publications = _update_publications(record, field, entry)
            return {"published": record.published - {field}, "publications": publications}
        case e.RequestFiled(request):
            return {"requests": _put(record.requests, {request: _filed(event, at)})}
        case e.RequestReplied(request):
            return {"requests": _evolve_entry(record.requests, request, {"replied_at": at})}
        case e.RequestExtended(request, reason):
            known = record.requests[request]
            due_at = _later(known.due_at, TIME_LIMITS[known.kind].extension)
            extended = {"due_at": due_at, "extension_reason": reason}
            return {"requests": _evolve_entry(record.requests, request, extended)}
        case e.RequestResolved(request, outcome, reason):
            resolved = {"outcome": outcome, "reason": reason, "resolved_at": at}
            return {"requests": _evolve_entry(record.requests, request, resolved)}
        case e.HoldPlaced(hold, kind, data, until):
            placed = Hold(hold=hold, kind=kind, data=data, placed_at=at, until=until, released_at=None)
            return {"holds": _put(record.holds, {hold: placed})}
        case e.HoldReleased(hold):
            return {"holds": _evolve_entry(record.holds, hold, {"released_at": at})}
        case e.ErasureConfirmed():
            return {}  # see `erasure_after`
        case e.Erased(anonymised):
            left = {"account": Account.ERASED, "account_changed_at": at, "anonymised": anonymised}
            return attrs.asdict(unopened(record.user_id), recurse=False) | left
        case _:
            assert_never(event)


def _filed(event: e.RequestFiled, at: datetime) -> Request:
    limits, received_at = TIME_LIMITS[event.kind], event.received_at or at
    done = limits.done_with_processor if event.processor else limits.done
    return Request(
        request=event.request, kind=event.kind, processor=event.processor, filed_at=at, received_at=received_at,
        reply_due_at=_later(received_at, limits.reply), replied_at=None, due_at=_later(received_at, done),
        extension_reason=None, outcome=None, reason=None, resolved_at=None,
    )  # fmt: skip


def _later(at: datetime, by: timedelta) -> datetime:
    """The instant *by* after *at*, or the end of the calendar."""
    return min(at, END_OF_TIME - by) + by


P = TypeVar("P", bound=Permission)
T = TypeVar("T")
V = TypeVar("V", Notice, Request, Hold)


def _put(known: Mapping[str, T], changed: Mapping[str, T]) -> Mapping[str, T]:
    if isinstance(known, _Growing):
        known.update(changed)
        return known
    return {**known, **changed}


def _evolve_entry(known: Mapping[str, V], key: str, changes: dict[str, Any]) -> Mapping[str, V]:
    return _put(known, {key: attrs.evolve(known[key], **changes)})


def _last_word(known: Said | None, entry: e.LedgerEntry) -> dict[str, Any]:
    """Return the values of `Said` after one more word on a thing. What was ever said here stays so."""
    said_at = entry.provenance.said_at
    if said_at is not None and known is not None and known.entry_version is not None:
        said_at = None if known.said_at is None else max(known.said_at, said_at)
    return {"entry_version": entry.version, "said_at": said_at}


def _update_consents(
    record: ConsentRecord,
    purpose: Purpose,
    channels: frozenset[Channel],
    entry: e.LedgerEntry,
    changes: dict[str, Any],
) -> dict[str, Consent]:
    """Return the consents after a yes or no to a purpose, for marketing over these channels, or over all if empty."""
    consents = dict(record.consents)
    for channel in consent_channels(purpose, channels):
        key = consent_key(purpose, channel)
        known = consents.get(key)
        said = {**changes, **_last_word(known, entry)}
        if known is None:
            consents[key] = Consent(**{**UNSAID, "notice": None, **said}, purpose=purpose, channel=channel)
        else:
            consents[key] = attrs.evolve(known, **said)
    return consents


def _answer_notice(
    record: ConsentRecord, notice: str, entry: e.LedgerEntry, changes: dict[str, Any]
) -> Mapping[str, Notice]:
    """Return the notices after a yes or no to one of them."""
    said = _last_word(record.notices[notice], entry)
    return _evolve_entry(record.notices, notice, {**changes, **said})


def _update_publications(record: ConsentRecord, field: Field, entry: e.LedgerEntry) -> Mapping[Field, Publication]:
    """Return the publications after a yes or no to one of them."""
    said = _last_word(record.publications.get(field), entry)
    return {**record.publications, field: Publication(field=field, **said)}


def _end_all(permissions: Mapping[str, P]) -> Mapping[str, P]:
    """End every yes, as closing an account does. What was withdrawn stays withdrawn."""
    given = {key: p for key, p in permissions.items() if p.given_at is not None}
    return _put(permissions, {key: attrs.evolve(p, given_at=None, expires_at=None) for key, p in given.items()})

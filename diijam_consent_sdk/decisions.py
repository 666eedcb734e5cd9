"""
The asks, and the decision of each: `_rows` is the policy's decision table, row by row (docs/decision-table.md).

The first row that hits decides, so the code reads as the table does, and each row can be checked against it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import TYPE_CHECKING, ClassVar, Self, TypeVar, assert_never, get_args

import attrs
from attrs import converters

from .errors import WHO_GIVES_SCOPES, ConsentDenied, NotEntitled
from .identifiers import identifier
from .policy import BASIS, CHANNEL_FIELD, DUTY_HOLDS, PUBLISHABLE, WORDING, Basis
from .record import Consent, ConsentRecord, Hold, Notice, Request, Said, consent_key
from .standing import AskScope, LiveHold, PermissionState, SharingState, Standing
from .vocabulary import LANGUAGES, Account, Channel, Field, Language, Purpose, Reason, RequestKind, fields_of


def _not_marketing(_: object, __: object, purpose: Purpose) -> None:
    if purpose is Purpose.MARKETING:
        raise ValueError("marketing goes over a channel: ask Market(channel)")


def _not_empty(_: object, __: object, data: frozenset[Field]) -> None:
    if not data:
        raise ValueError("a share names the fields it hands over")


@attrs.frozen(cache_hash=True)
class Process:
    """May data be processed for a purpose? `data`: the fields, `None` any personal data, `()` none: clause 4."""

    purpose: Purpose = attrs.field(converter=Purpose, validator=_not_marketing)
    data: frozenset[Field] | None = attrs.field(converter=converters.optional(fields_of), default=None)


@attrs.frozen(cache_hash=True)
class Market:
    """May marketing reach the user over a channel, touching its own field and these `data`? Clause 4."""

    purpose: ClassVar[Purpose] = Purpose.MARKETING
    channel: Channel = attrs.field(converter=Channel)
    data: frozenset[Field] = attrs.field(converter=fields_of, default=())


@attrs.frozen(cache_hash=True)
class Share:
    """May these fields be shared with a recipient for a purpose? Clause 5."""

    recipient: str = attrs.field(converter=identifier)
    data: frozenset[Field] = attrs.field(converter=fields_of, validator=_not_empty)
    purpose: Purpose = attrs.field(converter=Purpose)


@attrs.frozen(cache_hash=True)
class Show:
    """May a field be shown publicly? Clause 7."""

    field: Field = attrs.field(converter=Field)


@attrs.frozen(cache_hash=True)
class Retain:
    """May a field be kept? Clause 6."""

    field: Field = attrs.field(converter=Field)


Ask = Process | Market | Share | Show | Retain
_ASKS = get_args(Ask)


def check_ask(ask: Ask) -> None:
    """Raise `TypeError` unless *ask* is one of the five asks."""
    if not isinstance(ask, _ASKS):
        raise TypeError(f"an ask is needed (Process, Market, Share, Show, Retain), not {type(ask).__name__}")


def scope_of(ask: Ask) -> AskScope:
    """Return the scope that a token needs for *ask* (policy, "Views")."""
    match ask:
        case Market():
            return AskScope.MARKETING
        case Show():
            return AskScope.PROFILE
        case Share():
            return AskScope.SHARING
        case Process(purpose) if BASIS[purpose] is not Basis.DUTY:
            return AskScope.ANALYTICS
        case Process() | Retain():
            return AskScope.RETENTION
        case _:
            assert_never(ask)


@attrs.frozen(eq=False)
class Decision:
    """
    An answer, truthy if it allows, with its reason and its clause of the policy (1 to 7). The reasons in `UNANSWERED`
    are no customer's no. Immutable, and one shared object for each reason and clause.
    """

    allowed: bool
    reason: Reason
    clause: int

    def __attrs_post_init__(self) -> None:
        if (self.reason, self.clause) not in WORDING.keys() - DECISIONS.keys():  # each is built once, below
            raise TypeError("a Decision is looked up, never built: use decide()")

    if TYPE_CHECKING:
        # Only for type checkers (mypy's truthy-bool); see `Denial` for the run time.
        def __bool__(self) -> bool: ...

    def __reduce__(self) -> tuple[object, ...]:
        return looked_up, (self.reason, self.clause)

    def message(self, language: Language) -> str:
        """Word the answer for the customer, in `"vi"` or `"en"`; any other language is a `ValueError`."""
        if language not in LANGUAGES:
            raise ValueError(f'messages exist in "vi" and "en", not in {language!r}')
        return str(getattr(WORDING[self.reason, self.clause], language))

    def or_raise(self) -> Self:
        """Return the decision if it allows, else raise `ConsentDenied`, which carries it as `.decision`."""
        if not self.allowed:
            raise ConsentDenied(self)
        return self


class Denial(Decision):
    """A no. Only a denial defines `__bool__`, so that testing a yes costs nothing."""

    __slots__ = ()

    __bool__ = bool  # `bool()` is False, and costs no call of a Python function


DECISIONS: dict[tuple[Reason, int], Decision] = {}
for _key, _wording in WORDING.items():
    DECISIONS[_key] = (Decision if _wording.allowed else Denial)(_wording.allowed, *_key)


def looked_up(reason: Reason, clause: int) -> Decision:
    """Return the one decision of this reason and clause; `KeyError` if the policy has none."""
    return DECISIONS[reason, clause]


UNAVAILABLE = looked_up(Reason.UNAVAILABLE, 3)  # row 1: nothing is known
STALE = looked_up(Reason.STALE, 3)  # row 1: what was known is too old
NOT_ENTITLED = looked_up(Reason.NOT_ENTITLED, 3)  # row 1b: the token is not for such asks
# These reasons are no customer's no: the customer's choices could not be looked at.
UNANSWERED = frozenset({Reason.UNAVAILABLE, Reason.STALE, Reason.NOT_ENTITLED})


def entitlement_error(ask: Ask) -> NotEntitled:
    """Make the error of a call that cannot answer *ask* with `NOT_ENTITLED`, since nobody would see it there."""
    scope = scope_of(ask)
    why = f"the service's token lacks the scope {scope}, which {type(ask).__name__} needs"
    return NotEntitled(f"{why}: {WHO_GIVES_SCOPES}", [scope])


def check_entitled(decision: Decision, ask: Ask) -> Decision:
    """Return the decision of *ask*, or raise `NotEntitled` if it is `NOT_ENTITLED`."""
    if decision is NOT_ENTITLED:
        raise entitlement_error(ask)
    return decision


NO_DATA: tuple[str, ...] = ()  # beside the channel's field; a default is recognised by identity

Evidence = Consent | Notice | Hold | Request
_EVIDENCE = get_args(Evidence)
Hit = Evidence | Said | PermissionState | SharingState | LiveHold | RequestKind | bool | None
E = TypeVar("E", bound=Hit)


@attrs.frozen
class Explanation:
    """
    A decision and the evidence of a yes, None for a no or where no consent, agreement, hold or request is needed.

    `version` is the record's. `entry_version` is that of the entry with the user's word on which the decision rests: a
    consent, agreement or publication, and for `WITHDRAWN` and `EXPIRED` what was withdrawn or expired; None for none.
    `said_at` is None if that was said here, else when all that was said on it is claimed to have been said, at the
    latest (`Method.IMPORT`).
    """

    decision: Decision
    evidence: Evidence | None
    version: int
    as_of: datetime
    entry_version: int | None
    said_at: datetime | None


def decide(subject: ConsentRecord | Standing, ask: Ask, at: datetime) -> Decision:
    """Decide *ask* on a record or a standing at an instant (aware). Pure; raises nothing."""
    _, reason, clause = _first_hit(subject, ask, at)
    return DECISIONS[reason, clause]


def explain(record: ConsentRecord, ask: Ask, at: datetime) -> Explanation:
    """Decide *ask* on *record* at an instant (aware), with the evidence."""
    hit, reason, clause = _first_hit(record, ask, at)
    decision = DECISIONS[reason, clause]
    evidence = hit if decision.allowed and isinstance(hit, _EVIDENCE) else None
    entry_version, said_at = (hit.entry_version, hit.said_at) if isinstance(hit, Said) else (None, None)
    return Explanation(decision, evidence, record.version, at, entry_version, said_at)


def _first_hit(subject: ConsentRecord | Standing, ask: Ask, at: datetime) -> tuple[Hit, Reason, int]:
    return next(row for row in _rows(subject, ask, at) if row[0])


def _rows(r: ConsentRecord | Standing, ask: Ask, at: datetime) -> Iterator[tuple[Hit, Reason, int]]:
    """Yield the rows of the decision table: what hits (what it rests on, or a boolean), reason and clause."""
    yield isinstance(r, Standing) and scope_of(ask) not in r.view, Reason.NOT_ENTITLED, 3  # row 1b
    yield r.account is Account.UNKNOWN, Reason.UNKNOWN_USER, 3  # row 2
    yield r.account is Account.ERASED, Reason.ERASED, 6  # row 3
    match ask:
        case Show(field):
            yield field not in PUBLISHABLE, Reason.NOT_PUBLISHABLE, 7  # row 4
        case Retain(field):
            yield r.account is Account.OPEN and not r.is_erasing(), Reason.IN_SERVICE, 6  # row 5
            yield _first(hold for hold in r.live_holds(at) if field in hold.data), Reason.HELD, 6  # row 6
        case Process(Purpose.RIGHTS_HANDLING):
            yield _first(r.open_requests()), Reason.HELD, 1  # row 7
            yield True, Reason.NO_DUTY, 6  # row 7
        case Process(purpose, data) if BASIS[purpose] is Basis.DUTY:
            holds = (hold for hold in r.live_holds(at) if hold.kind in DUTY_HOLDS[purpose])
            yield _first(hold for hold in holds if data is not None and data <= hold.data), Reason.HELD, 6  # row 7
            yield True, Reason.NO_DUTY, 6  # row 7
    yield r.is_erasing(), Reason.ERASURE_REQUESTED, 1  # row 8
    yield r.account is Account.CLOSED, Reason.ACCOUNT_CLOSED, 6  # row 9
    aim, touched = _about(ask)
    yield _is_restricted(r, touched), Reason.RESTRICTED, 1  # row 10
    yield aim in r.objected, Reason.OBJECTED, 1  # row 11
    match ask:
        case Show(field):
            yield r.publication(field), Reason.PUBLISHED, 7  # row 12
            yield True, Reason.NOT_PUBLISHED, 7  # row 12
        case Share(recipient, data, purpose):
            told = [(sharing, sharing.reason_at(at)) for sharing in r.sharings_with(recipient)]
            agreed = [sharing for sharing, said in told if said is Reason.AGREED]
            yield _first(s for s in agreed if s.purpose is purpose and data <= s.data), Reason.AGREED, 5  # row 13
            yield bool(agreed), Reason.BEYOND_NOTICE, 5  # row 14
            for reason in (Reason.WITHDRAWN, Reason.EXPIRED):
                yield _first(sharing for sharing, said in told if said is reason), reason, 5  # row 14
            yield True, Reason.NOT_AGREED if told else Reason.NOT_NOTIFIED, 5  # row 14, which rests on no word
        case Process(purpose) if BASIS[purpose] is Basis.SERVICE:
            yield True, Reason.NEEDED_FOR_SERVICE, 6 if purpose is Purpose.SERVICE_OPERATION else 4  # row 15
        case Process(purpose) | Market(purpose=purpose):
            consent = r.consents.get(consent_key(purpose, getattr(ask, "channel", None)))
            said = Reason.NOT_CONSENTED if consent is None else consent.reason_at(at)
            yield True if said is Reason.NOT_CONSENTED else consent, said, 4  # rows 16 and 17


def _first(found: Iterable[E]) -> E | None:
    return next(iter(found), None)


def _is_restricted(record: ConsentRecord | Standing, touched: frozenset[Field] | None) -> bool:
    met = record.restricted if touched is None else record.restricted & touched
    return record.is_all_restricted() or bool(met)


def _about(ask: Ask) -> tuple[Purpose | None, frozenset[Field] | None]:
    """Return the purpose of an ask, if it has one, and the fields that it touches, None for any."""
    match ask:
        case Process(purpose, data) | Share(_, data, purpose):
            return purpose, data
        case Market(channel, data):
            return Purpose.MARKETING, data | {CHANNEL_FIELD[channel]}
        case Show(field) | Retain(field):
            return None, frozenset({field})

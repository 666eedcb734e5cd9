"""
The events that can happen to a user's record. An event is a value that has no time, since the store stamps it.

Making an event checks its words, types and ids (`ValueError`, `TypeError`). Whether a record accepts it at an instant
is decided by `record.refusal`.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

import attrs
from attrs import converters

from .identifiers import identifier
from .provenance import NO_PROVENANCE as NO_PROVENANCE  # noqa: PLC0414 - public here
from .provenance import Provenance as Provenance  # noqa: PLC0414
from .vocabulary import (
    Channel,
    Field,
    HoldKind,
    Origin,
    Outcome,
    Purpose,
    RequestKind,
    channels_of,
    fields_of,
    instant,
)


def _flag(value: bool) -> bool:  # noqa: FBT001 - attrs calls it
    if not isinstance(value, bool):
        raise TypeError(f"True or False is needed, not {type(value).__name__}")
    return value


@attrs.frozen
class AccountOpened:
    """The user signed up, or came back."""

    origin: Origin = attrs.field(converter=Origin, default=Origin.DIRECT)


@attrs.frozen
class AccountClosed:
    """The user left. Ends all consents, agreements and publications: clause 6."""


@attrs.frozen
class Granted:
    """The user consented to a purpose, for marketing over these channels, as this notice put it: clause 4."""

    purpose: Purpose = attrs.field(converter=Purpose)
    notice: str = attrs.field(converter=identifier)
    channels: frozenset[Channel] = attrs.field(converter=channels_of, default=())
    expires_at: datetime | None = attrs.field(converter=converters.optional(instant), default=None)


@attrs.frozen
class Withdrawn:
    """The user said no to a purpose, for marketing over these channels (none: over all of them): clause 4."""

    purpose: Purpose = attrs.field(converter=Purpose)
    channels: frozenset[Channel] = attrs.field(converter=channels_of, default=())


@attrs.frozen
class Objected:
    """The user objected to a purpose; stronger than any consent until it is lifted: clause 1."""

    purpose: Purpose = attrs.field(converter=Purpose)


@attrs.frozen
class ObjectionLifted:
    """The user took an objection back: clause 1."""

    purpose: Purpose = attrs.field(converter=Purpose)


@attrs.frozen
class Restricted:
    """The user restricted some fields, or with `None` all personal data: clause 1."""

    data: frozenset[Field] | None = attrs.field(converter=converters.optional(fields_of), default=None)


@attrs.frozen
class RestrictionLifted:
    """The user lifted the restriction of some fields, or with `None` every restriction: clause 1."""

    data: frozenset[Field] | None = attrs.field(converter=converters.optional(fields_of), default=None)


@attrs.frozen
class Notified:
    """The user was notified that these data would be shared with this recipient for this purpose: clause 5."""

    notice: str = attrs.field(converter=identifier)
    recipient: str = attrs.field(converter=identifier)
    data: frozenset[Field] = attrs.field(converter=fields_of)
    purpose: Purpose = attrs.field(converter=Purpose)


@attrs.frozen
class Agreed:
    """The user agreed to the sharing of the notice: clause 5."""

    notice: str = attrs.field(converter=identifier)
    expires_at: datetime | None = attrs.field(converter=converters.optional(instant), default=None)


@attrs.frozen
class AgreementWithdrawn:
    """The user said no to the sharing of the notice: clause 5."""

    notice: str = attrs.field(converter=identifier)


@attrs.frozen
class Published:
    """The user made a field public: clause 7."""

    field: Field = attrs.field(converter=Field)


@attrs.frozen
class Hidden:
    """The user made a field private again: clause 7."""

    field: Field = attrs.field(converter=Field)


@attrs.frozen
class RequestFiled:
    """
    The user asked something of Diijam: clauses 1 and 2.

    `processor`: somebody outside Diijam must act too, which gives more time. `received_at`: when the request reached
    Diijam, if it was typed in later; the time runs from there.
    """

    request: str = attrs.field(converter=identifier)
    kind: RequestKind = attrs.field(converter=RequestKind)
    processor: bool = attrs.field(converter=_flag, default=False)
    received_at: datetime | None = attrs.field(converter=converters.optional(instant), default=None)


@attrs.frozen
class RequestReplied:
    """The user was answered that the request arrived and what happens next: clause 2."""

    request: str = attrs.field(converter=identifier)


@attrs.frozen
class RequestExtended:
    """A request takes longer, once, for a reason given to the user: clause 2. `reason` is the id of its text."""

    request: str = attrs.field(converter=identifier)
    reason: str = attrs.field(converter=identifier)


@attrs.frozen
class RequestResolved:
    """A request ended; `reason`, the id of a text, says why if it was refused. `Erased` alone fulfils an erasure."""

    request: str = attrs.field(converter=identifier)
    outcome: Outcome = attrs.field(converter=Outcome)
    reason: str | None = attrs.field(converter=converters.optional(identifier), default=None)


@attrs.frozen
class HoldPlaced:
    """These data must be kept, until an instant or until released: clause 6."""

    hold: str = attrs.field(converter=identifier)
    kind: HoldKind = attrs.field(converter=HoldKind)
    data: frozenset[Field] = attrs.field(converter=fields_of)
    until: datetime | None = attrs.field(converter=converters.optional(instant), default=None)


@attrs.frozen
class HoldReleased:
    """The reason to keep the data is gone: clause 6."""

    hold: str = attrs.field(converter=identifier)


@attrs.frozen
class ErasureConfirmed:
    """
    A holder of copies confirmed that it erased the user's data: clauses 1 and 6.

    `began_at`: of which erasure, as `OwedErasure.began_at` has it. The ledger refuses the event if that one ended, even
    if the user asked for another since: the holder may have got new copies in between. None: of the one under way.
    """

    holder: str = attrs.field(converter=identifier)
    began_at: datetime | None = attrs.field(converter=converters.optional(instant), default=None)


@attrs.frozen
class Erased:
    """The user's data was deleted or anonymised; only a tombstone stays: clause 6."""

    anonymised: bool = attrs.field(converter=_flag, default=False)


Event = (
    AccountOpened | AccountClosed | Granted | Withdrawn | Objected | ObjectionLifted | Restricted | RestrictionLifted
    | Notified | Agreed | AgreementWithdrawn | Published | Hidden | RequestFiled | RequestReplied
    | RequestExtended | RequestResolved | HoldPlaced | HoldReleased | ErasureConfirmed | Erased
)  # fmt: skip
YESES = (Granted, Agreed, Published, ObjectionLifted, RestrictionLifted)
NOES = (Withdrawn, AgreementWithdrawn, Objected, Restricted, Hidden, AccountClosed, Erased)


def is_no(event: Event) -> bool:
    """Whether the event takes permission away and gives none. A no is written whatever the clock or the record is."""
    return isinstance(event, NOES) or (isinstance(event, RequestFiled) and event.kind is RequestKind.ERASURE)


def takes_away(events: Iterable[Event]) -> bool:
    """Whether these events do nothing but take permission away, so that no idempotency key keeps them out."""
    return all(map(is_no, events))


@attrs.frozen
class LedgerEntry:
    """
    An event as the store accepted it, with its position in the ledger, the user's version, and `at` in UTC.

    `notice_digest` is that of the registered notice which the event names, in hex; None if it names none.
    """

    position: int
    user_id: str = attrs.field(repr=False)
    version: int
    at: datetime
    event: Event
    provenance: Provenance = NO_PROVENANCE
    notice_digest: str | None = None
    hash: str | None = attrs.field(default=None, eq=False)

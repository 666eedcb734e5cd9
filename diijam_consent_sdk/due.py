"""
What is owed to customers: open requests by due time, erasures that may or may not yet be done, and those that a holder
of copies has yet to confirm.

The law sets a time for each request, so the list is computed from the records and never kept by hand.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

import attrs

from .events import Erased
from .holders import NO_HOLDERS, Erasure, HolderRegistry
from .record import ConsentRecord, Hold, Request, refusal
from .vocabulary import Field, RequestKind, RequestState


@attrs.frozen
class OpenRequest:
    """What a user asked for and has not been given yet, and how it stands to its deadlines."""

    user_id: str = attrs.field(repr=False)
    request: Request
    state: RequestState


@attrs.frozen
class PendingErasure:
    """
    A user who asked to be erased, at the latest by `due_at`.

    `holds` are the holds that keep the data at present. `until` is when the last of them ends; None if no hold keeps
    the data, or if one lasts until it is released. `missing` are the holders that have yet to confirm, sorted.
    """

    user_id: str = attrs.field(repr=False)
    due_at: datetime
    holds: tuple[Hold, ...]
    until: datetime | None
    missing: tuple[str, ...]


@attrs.frozen
class OwedErasure:
    """
    A user whose data a holder has yet to erase, at the latest by `due_at`: None if the account was closed and nobody
    asked for erasure. `kept` are the fields that live holds keep until they end. `began_at` is when the erasure began,
    which the confirmation names: `ErasureConfirmed(holder, owed.began_at)`.
    """

    user_id: str = attrs.field(repr=False)
    due_at: datetime | None
    kept: frozenset[Field]
    began_at: datetime


@attrs.frozen
class Due:
    """
    The work list as of `at`, each part in order of `due_at`.

    `requests` are all open requests, erasures included. Erasures in `erasable` may be done now by recording `Erased`,
    those in `held` when their holds have ended and all holders have confirmed.
    """

    at: datetime
    requests: tuple[OpenRequest, ...]
    erasable: tuple[PendingErasure, ...]
    held: tuple[PendingErasure, ...]


def due(records: Iterable[ConsentRecord], at: datetime, holders: HolderRegistry = NO_HOLDERS) -> Due:
    """
    Make the work list of these users.

    Args:
        records: Their records. Those without open requests add nothing.

        at: The instant at which holds and deadlines are judged, by the store's clock.

        holders: The registered holders, which have to confirm erasures.
    """
    requests: list[OpenRequest] = []
    erasable: list[PendingErasure] = []
    held: list[PendingErasure] = []
    for record in records:
        requests += [OpenRequest(record.user_id, request, request.state(at)) for request in record.open_requests()]
        if record.is_erasing():
            is_held = refusal(record, Erased(), at, holders=holders) is not None
            (held if is_held else erasable).append(_pending(record, at, holders))
    requests.sort(key=lambda open_request: open_request.request.due_at)
    for erasures in (erasable, held):
        erasures.sort(key=lambda erasure: erasure.due_at)
    return Due(at, tuple(requests), tuple(erasable), tuple(held))


def _pending(record: ConsentRecord, at: datetime, holders: HolderRegistry) -> PendingErasure:
    holds = tuple(record.live_holds(at))
    ends = [hold.until for hold in holds]
    until = max((end for end in ends if end is not None), default=None) if None not in ends else None
    due_at = min(_erasures_due(record))
    return PendingErasure(record.user_id, due_at, holds, until, holders.missing(record.erasure))


def owed_erasure(record: ConsentRecord, erasure: Erasure, at: datetime) -> OwedErasure:
    """Describe the *erasure* under way of a user to a holder that owes it, with the holds that are live at *at*."""
    kept = frozenset(field for hold in record.live_holds(at) for field in hold.data)
    return OwedErasure(record.user_id, erasure_due_at(record), kept, erasure.began_at)


def erasure_due_at(record: ConsentRecord) -> datetime | None:
    """Find when the erasure of a user is due; None if no request for it is open."""
    return min(_erasures_due(record), default=None)


def _erasures_due(record: ConsentRecord) -> list[datetime]:
    return [request.due_at for request in record.open_requests() if request.kind is RequestKind.ERASURE]

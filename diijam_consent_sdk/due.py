"""
What is owed to customers: open requests by due time, and erasures that may or may not yet be done.

The law sets a time for each request, so the list is computed from the records and never kept by hand.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

import attrs

from .events import Erased
from .record import ConsentRecord, Hold, Request, refusal
from .vocabulary import RequestKind, RequestState


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
    the data, or if one lasts until it is released.
    """

    user_id: str = attrs.field(repr=False)
    due_at: datetime
    holds: tuple[Hold, ...]
    until: datetime | None


@attrs.frozen
class Due:
    """
    The work list as of `at`, each part in order of `due_at`.

    `requests` are all open requests, erasures included. Erasures in `erasable` may be done now by recording `Erased`,
    those in `held` when their holds have ended.
    """

    at: datetime
    requests: tuple[OpenRequest, ...]
    erasable: tuple[PendingErasure, ...]
    held: tuple[PendingErasure, ...]


def due(records: Iterable[ConsentRecord], at: datetime) -> Due:
    """
    Make the work list of these users.

    Args:
        records: Their records. Those without open requests add nothing.

        at: The instant at which holds and deadlines are judged, by the store's clock.
    """
    requests: list[OpenRequest] = []
    erasable: list[PendingErasure] = []
    held: list[PendingErasure] = []
    for record in records:
        requests += [OpenRequest(record.user_id, request, request.state(at)) for request in record.open_requests()]
        if record.is_erasing():
            (held if refusal(record, Erased(), at) else erasable).append(_pending(record, at))
    requests.sort(key=lambda open_request: open_request.request.due_at)
    for erasures in (erasable, held):
        erasures.sort(key=lambda erasure: erasure.due_at)
    return Due(at, tuple(requests), tuple(erasable), tuple(held))


def _pending(record: ConsentRecord, at: datetime) -> PendingErasure:
    holds = tuple(record.live_holds(at))
    ends = [hold.until for hold in holds]
    until = max((end for end in ends if end is not None), default=None) if None not in ends else None
    due_at = min(request.due_at for request in record.open_requests() if request.kind is RequestKind.ERASURE)
    return PendingErasure(record.user_id, due_at, holds, until)

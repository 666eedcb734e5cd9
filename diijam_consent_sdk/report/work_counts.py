"""What is owed to customers, as numbers: open requests by state, overdue ones, and what erasures wait for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import datetime

import attrs

from ..due import Due
from ..vocabulary import HoldKind, RequestKind, RequestState


@attrs.define
class RequestCounts:
    """
    Open requests. Not safe to add to from several threads.

    Attributes:
        states: How many of each kind are in which state.

        late_replies, late_deeds: Of the overdue ones, those that lack a reply that was due, and those whose deed was
            due. A request may be both.

        overdue_since: When the first of each kind became overdue.
    """

    states: Counter[tuple[RequestKind, RequestState]] = attrs.field(factory=Counter)
    late_replies: Counter[RequestKind] = attrs.field(factory=Counter)
    late_deeds: Counter[RequestKind] = attrs.field(factory=Counter)
    overdue_since: dict[RequestKind, datetime] = attrs.field(factory=dict)

    def add(self, part: Due) -> None:
        """Count the requests of a work list."""
        for item in part.requests:
            request, kind = item.request, item.request.kind
            self.states[kind, item.state] += 1
            late = [deadline for deadline in request.deadlines if deadline <= part.at]
            if late:
                self.late_replies[kind] += request.reply_due_at in late
                self.late_deeds[kind] += request.due_at in late
                self.overdue_since[kind] = min(*late, self.overdue_since.get(kind, part.at))


@attrs.define
class ErasureCounts:
    """
    Erasures that were asked for and are not done. Not safe to add to from several threads.

    Attributes:
        erasable, held: Those that may be done now, and those that may not, by whether their time has passed.

        holds, holders: Held ones that wait for a hold of this kind to end, or for this holder of copies to confirm. One
            may wait for several.
    """

    erasable: Counter[bool] = attrs.field(factory=Counter)
    held: Counter[bool] = attrs.field(factory=Counter)
    holds: Counter[HoldKind] = attrs.field(factory=Counter)
    holders: Counter[str] = attrs.field(factory=Counter)

    def add(self, part: Due) -> None:
        """Count the erasures of a work list."""
        self.erasable.update(erasure.due_at <= part.at for erasure in part.erasable)
        for erasure in part.held:
            self.held[erasure.due_at <= part.at] += 1
            self.holds.update({hold.kind for hold in erasure.holds})
            self.holders.update(erasure.missing)


@attrs.frozen
class WorkCounts:
    """What is owed to customers."""

    requests: RequestCounts
    erasures: ErasureCounts


def count_work(parts: Iterable[Due]) -> WorkCounts:
    """Count work lists that together are the whole. No request is kept."""
    counts = WorkCounts(RequestCounts(), ErasureCounts())
    for part in parts:
        counts.requests.add(part)
        counts.erasures.add(part)
    return counts

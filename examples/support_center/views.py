"""What the pages show of the work list and of a customer's record, ready for the templates."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from secrets import token_hex
from typing import TypeVar

import attrs

from diijam_consent_sdk import Outcome, RequestKind
from diijam_consent_sdk.due import Due, OpenRequest, PendingErasure
from diijam_consent_sdk.record import ConsentRecord, Hold, Request
from diijam_consent_sdk.vocabulary import Account, RequestState

STATES = (RequestState.OVERDUE, RequestState.DUE_SOON, RequestState.ON_TRACK)
ROWS_ON_PAGE = 50
Row = TypeVar("Row")


@attrs.frozen
class Owed:
    """An open request with what Diijam owes next: the reply (`reply`) or the rest (`deed`), and until when."""

    user_id: str = attrs.field(repr=False)
    request: Request
    state: RequestState
    next: str
    due_at: datetime

    @classmethod
    def of(cls, user_id: str, request: Request, state: RequestState) -> Owed:
        """Find what is owed next."""
        due_at = min(request.deadlines)
        is_reply = request.replied_at is None and due_at == request.reply_due_at
        return cls(user_id, request, state, "reply" if is_reply else "deed", due_at)


@attrs.frozen
class WorkList:
    """
    One page of the work list.

    Args:
        rows: The overdue ones first, then by what is due first.

        counts: How many there are, by state.

        page, pages: The number of this page, from 1, and of all.
    """

    at: datetime
    rows: Sequence[Owed]
    counts: Mapping[RequestState, int]
    page: int
    pages: int


def make_work_list(due: Due, state: RequestState | None, page: int) -> WorkList:
    """Make a page of the work list, of one state or of all; a page past the end is the last."""
    counts = Counter(one.state for one in due.requests)
    chosen = [_owed(one) for one in due.requests if state in (None, one.state)]
    chosen.sort(key=lambda owed: (STATES.index(owed.state), owed.due_at))
    rows, page, pages = _page_of(chosen, page)
    return WorkList(due.at, rows, counts, page, pages)


def _page_of(rows: Sequence[Row], page: int) -> tuple[Sequence[Row], int, int]:
    """Cut out a page, the last if *page* is past the end. Returns its rows, its number and that of all pages."""
    pages = max(1, -(-len(rows) // ROWS_ON_PAGE))
    page = min(page, pages)
    return rows[(page - 1) * ROWS_ON_PAGE : page * ROWS_ON_PAGE], page, pages


def _owed(one: OpenRequest) -> Owed:
    return Owed.of(one.user_id, one.request, one.state)


@attrs.frozen
class ErasureList:
    """
    One page of the pending erasures, those that wait before those that may be done now.

    Args:
        held, ready: The rows of either kind.

        counts: How many there are of either kind, under these names.

        page, pages: The number of this page, from 1, and of all.
    """

    at: datetime
    held: Sequence[PendingErasure]
    ready: Sequence[PendingErasure]
    counts: Mapping[str, int]
    page: int
    pages: int


def make_erasure_list(due: Due, page: int) -> ErasureList:
    """Make a page of the pending erasures; a page past the end is the last."""
    rows, page, pages = _page_of([*((one, True) for one in due.held), *((one, False) for one in due.erasable)], page)
    held, ready = ([one for one, is_held in rows if is_held is kind] for kind in (True, False))
    counts = {"held": len(due.held), "ready": len(due.erasable)}
    return ErasureList(due.at, held, ready, counts, page, pages)


@attrs.frozen
class HolderTally:
    """One holder of copies, and how many of the pending erasures it has yet to confirm."""

    holder: str
    owes: int


def tally_holders(due: Due, holders: Sequence[str]) -> list[HolderTally]:
    """Count for each holder what it still owes."""
    owed = Counter(holder for erasure in (*due.erasable, *due.held) for holder in erasure.missing)
    return [HolderTally(holder, owed[holder]) for holder in holders]


@attrs.frozen
class Actions:
    """
    An open request on its customer's page.

    Args:
        owed: The request.

        can_reply, can_extend: Whether that is left to do.

        outcomes: How it may end here. An erasure ends as fulfilled only by the erasure itself.
    """

    owed: Owed
    can_reply: bool
    can_extend: bool
    outcomes: Sequence[Outcome]

    def new_key(self) -> str:
        """A key for one form, so that the form counts once however often it is sent."""
        return token_hex(16)


@attrs.frozen
class CustomerView:
    """
    A customer's record at one moment.

    Args:
        record: From the store.

        at: When.

        erasure: The pending erasure, with the holders that have yet to confirm.
    """

    record: ConsentRecord
    at: datetime
    erasure: PendingErasure | None

    @property
    def is_gone(self) -> bool:
        """Whether only the tombstone is left."""
        return self.record.account is Account.ERASED

    def open_requests(self) -> list[Actions]:
        """What Diijam still owes, the most urgent first."""
        found = [self._actions(request) for request in self.record.open_requests()]
        return sorted(found, key=lambda actions: actions.owed.due_at)

    def past_requests(self) -> list[Request]:
        """What ended, the latest first."""
        ended = [(one.resolved_at, one) for one in self.record.requests.values() if one.resolved_at is not None]
        return [request for _, request in sorted(ended, key=lambda pair: pair[0], reverse=True)]

    def holds(self) -> Sequence[Hold]:
        """What must be kept, and why: clause 6."""
        return self.record.live_holds(self.at)

    def _actions(self, request: Request) -> Actions:
        owed = Owed.of(self.record.user_id, request, request.state(self.at))
        erasing = request.kind is RequestKind.ERASURE
        outcomes = [one for one in Outcome if not (erasing and one is Outcome.FULFILLED)]
        may_extend = request.extension_reason is None and self.at < request.due_at
        return Actions(owed, request.replied_at is None, may_extend, outcomes)

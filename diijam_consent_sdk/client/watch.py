"""
A watch: everybody's answer to one ask, then the answer of each user that changes, for those who keep copies
(docs/protocol.md, "A watch").

It keeps nobody in memory: one page of users at a time, and the head that the items handed out last rest on.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TypeVar

import attrs
from cachetools import LRUCache

from .._clock import steady_seconds
from .._jitter import random
from ..cache.installs import instant_of_look
from ..decisions import Ask, Decision, check_ask, decide, entitlement_error, scope_of
from ..errors import HistoryChanged, StoreUnavailable, StoreUnusable, TooLarge
from ..standing import View
from ..stores.answers import Changes, Cursor, StandingRow, Standings, StandingsPage
from ..stores.standings import decode_standing
from ..stores.wire import Malformed
from ..vocabulary import Reason
from .effects import ChangesSince, Effects, ListStandings, LoadStandings, Sleep, StoreCall, perform
from .exchanges import LAGS
from .limiter import LimitedCalls
from .watch_token import WatchToken

PAGE = 1000
BEFORE_ALL_ENDS = datetime.min.replace(tzinfo=UTC)  # the ends in a standing lie after the instant it was read at
REMEMBERED = 4096  # answers by the bytes of a standing: most users share theirs with others
REMEMBERED_BYTES = 4096  # of such a standing: 16 MiB together; larger ones are rare, and decided each time
MAX_PAUSE_SECONDS = 5.0
OTHER_HISTORY = "the token is of another history: an older copy of the ledger was restored, or it is another ledger"
BEGIN_AGAIN = f"{OTHER_HISTORY}; empty what you keep, and begin again with after=None"
OTHER_VIEW = "what the token may ask changed between two answers: try again"

T = TypeVar("T")


@attrs.frozen
class Watched:
    """
    One user's answer, to be taken as the truth whether it turned or not.

    `until` is the instant (UTC) from which it is a no if nothing more happens; None: it does not end by itself, or is a
    no. `is_snapshot`: it belongs to the list of everybody at the beginning. Keep `token` once the item was taken in.
    """

    user_id: str = attrs.field(repr=False)
    decision: Decision
    until: datetime | None
    token: str = attrs.field(repr=False)
    is_snapshot: bool


Answer = tuple[Decision, datetime | None]


class Watch:
    """
    One watch. Not safe to use from several threads at once.

    Args:
        ask: What is asked of each user.

        after: The token to go on from; None for the beginning.

        calls: Runs each call within the deadline.

        check_open: Raises `ClientClosed` once the client is closed.

        max_staleness: The bound B, in seconds: without any answer for so long the watch gives up.
    """

    def __init__(
        self, ask: Ask, after: str | None, *, calls: LimitedCalls, check_open: Callable[[], None], max_staleness: float
    ) -> None:
        check_ask(ask)
        self._ask = ask
        self._token = None if after is None else WatchToken.parse(after)
        self._is_checked = False  # whether the token was found in the store's history
        self._calls = calls
        self._check_open = check_open
        self._patience = max_staleness
        self._wait = 0.0  # the first poll shows at once what is new
        self._began_at = self._looked_at = steady_seconds()
        self.caught_up_at: float | None = None  # when it was at the end last; None: a copy is as old as its token
        self._is_complete = False  # whether the last page reached the ledger's end
        self._answers: LRUCache[tuple[bytes, View], Answer] = LRUCache(REMEMBERED)

    def next_items(self) -> Effects[list[Watched]]:
        """
        Give the next items: a page of the snapshot, or the users of a page of changes; perhaps none.

        The token moves with the items alone. What fails raises, and may be asked for again.

        Raises:
            StoreUnavailable: nothing was heard of the store for `max_staleness` seconds.
        """
        if self._is_complete:  # and its items are taken in, or nobody would ask for the next
            self.caught_up_at, self._is_complete = self._looked_at, False
        failing_since, pause = time.monotonic(), min(MAX_PAUSE_SECONDS, self._patience / 6)
        while True:
            self._check_open()
            try:
                return (yield from self._step())
            except StoreUnavailable:
                self._wait = 0.0
                if time.monotonic() - failing_since + pause >= self._patience:
                    raise
            yield Sleep(random.uniform(0, pause))

    def lag(self) -> float:
        """Return for how long the watch has not been at the ledger's end with all its items taken in, in seconds."""
        return steady_seconds() - (self._began_at if self.caught_up_at is None else self.caught_up_at)

    def _step(self) -> Effects[list[Watched]]:
        if self._token is None:
            head = yield from self._call(LoadStandings(()))
            self._token, self._is_checked = WatchToken(head.cursor, last=""), True
        if not self._is_checked:
            yield from self._check_token(self._token)
            self._is_checked = True
        if self._token.last is not None:
            return (yield from self._list(self._token, self._token.last))
        return (yield from self._follow(self._token))

    def _check_token(self, token: WatchToken) -> Effects[None]:
        """Find out whether what the consumer has is of this history: the cursor, and the head its items rest on."""
        for cursor in (token.cursor, token.rests_on):
            if cursor is not None:
                yield from self._confirm(cursor)

    def _list(self, token: WatchToken, last: str) -> Effects[list[Watched]]:
        """Give a page of everybody."""
        page: StandingsPage = yield from self._call(ListStandings(last or None, PAGE))
        rests_on = yield from self._rest_on(token, page.cursor)
        items = [
            self._item(row, page, WatchToken(token.cursor, rests_on, row.user_id), is_snapshot=True)
            for row in page.users
        ]
        self._token = WatchToken(token.cursor, rests_on, page.after)
        return [item for item in items if item.decision.reason is not Reason.UNKNOWN_USER]  # never had an account

    def _follow(self, token: WatchToken) -> Effects[list[Watched]]:
        """Give the users of a page of changes; after a wait without any, none."""
        sent_at = steady_seconds()
        page: Changes = yield from self._call(ChangesSince(token.cursor, self._wait, PAGE), self._wait)
        looked_at = max(sent_at, instant_of_look(sent_at, page.waited, steady_seconds()))
        if not page.is_continuation():
            raise HistoryChanged(BEGIN_AGAIN)
        self._wait = self._patience / 4
        if not page.user_ids:
            yield from self._rest_on(token, page.cursor)  # an answer that rests on a later head than that is lost
            self._looked_at, self._is_complete = looked_at, page.complete
            return []
        found = yield from self._standings(tuple(page.user_ids), page.cursor)
        rests_on = yield from self._rest_on(token, found.cursor)
        within, after = WatchToken(token.cursor, rests_on), WatchToken(page.cursor, rests_on).reached(page.cursor)
        *others, last = found.users
        items = [self._item(row, found, within, is_snapshot=False) for row in others]
        items.append(self._item(last, found, after, is_snapshot=False))
        self._token, self._looked_at, self._is_complete = after, looked_at, page.complete
        return items

    def _rest_on(self, token: WatchToken, head: Cursor) -> Effects[Cursor]:
        """
        Let items rest on *head*. The head that earlier ones rest on is asked for once more: when the token is past it,
        nothing else would show that the store lost it.
        """
        before = token.rests_on or token.cursor
        is_behind = _is_behind(head, before)
        if is_behind or token.rests_on not in {None, head}:
            yield from self._confirm(before)
        if is_behind:
            raise StoreUnavailable(LAGS)
        return head

    def _confirm(self, cursor: Cursor) -> Effects[None]:
        """Ask whether a cursor is in the store's history; `HistoryChanged` if not."""
        changes = yield from self._call(ChangesSince(cursor, limit=1))
        if not changes.is_continuation():
            raise HistoryChanged(BEGIN_AGAIN)

    def _standings(self, user_ids: tuple[str, ...], at_least: Cursor) -> Effects[Standings]:
        """Load standings at or past a head, in halves where they are too large together."""
        try:
            found = yield from self._call(LoadStandings(user_ids))
        except TooLarge:
            if len(user_ids) < 2:
                raise
            return (yield from self._halves(user_ids, at_least))
        if tuple(row.user_id for row in found.users) != user_ids:
            raise StoreUnusable("the store answered about other users than were asked for")
        if _is_behind(found.cursor, at_least):
            yield from self._confirm(at_least)
            raise StoreUnavailable(LAGS)
        return found

    def _halves(self, user_ids: tuple[str, ...], at_least: Cursor) -> Effects[Standings]:
        """Load standings in two parts, as of the first's time and the second's head."""
        middle = len(user_ids) // 2
        first = yield from self._standings(user_ids[:middle], at_least)
        second = yield from self._standings(user_ids[middle:], first.cursor)
        yield from self._confirm(first.cursor)
        if first.view != second.view:  # else an objection that the narrower view leaves out reads as none
            raise StoreUnavailable(OTHER_VIEW)
        return attrs.evolve(second, at=first.at, users=(*first.users, *second.users))

    def _call(self, call: StoreCall[T], wait: float = 0.0) -> Effects[T]:
        return (yield from self._calls.run(perform(call), self._calls.until() + wait))

    def _item(
        self, row: StandingRow, found: Standings | StandingsPage, token: WatchToken, *, is_snapshot: bool
    ) -> Watched:
        key = row.standing, found.view
        answer = self._answers.get(key)
        if answer is None:
            answer = _decide(row.standing, found.view, self._ask)
            if len(row.standing) <= REMEMBERED_BYTES:
                self._answers[key] = answer
        decision, until = answer
        if until is not None and until <= found.at:
            raise StoreUnusable("the store's standing was over when it was read")
        return Watched(row.user_id, decision, until, str(token), is_snapshot)


def _is_behind(head: Cursor, other: Cursor) -> bool:
    return head.epoch != other.epoch or head.position < other.position


def _decide(data: bytes, view: View, ask: Ask) -> Answer:
    """Decide, and find the first end from which the answer is a no."""
    if scope_of(ask) not in view:
        raise entitlement_error(ask)
    try:
        standing = decode_standing(data, view)
    except Malformed as error:
        raise StoreUnusable(f"the store's standing cannot be read: {error}") from error
    decision = decide(standing, ask, BEFORE_ALL_ENDS)
    if not decision.allowed:
        return decision, None
    return decision, next((end for end in standing.ends if not decide(standing, ask, end).allowed), None)

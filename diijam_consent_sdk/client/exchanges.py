"""
The exchanges with the store that move the leases: a load, a poll, a proof. Where an answer lies behind what the store
has shown before, the store is asked which it is: it lags, or has another history (protocol.md, rule 6).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from .._threads import Late, Promise
from ..cache.leases import Leases
from ..cache.user import UserConsent
from ..errors import StoreUnavailable
from ..stores.protocol import Changes, Cursor, Loaded
from .effects import Call, Steps, Wait

LAGS = "the store's answer lies behind what it said before: it lags, try again"
NOT_CONFIRMED = "the store's answer lies behind what it said before, and it did not say why in time: try again"


class Exchanges:
    """
    What a client asks its store. Safe to use from several threads.

    Args:
        leases: What the answers are for.

        clock: The lease clock, in seconds.

        deadline: How long, in real seconds, to wait for what somebody else has asked.
    """

    def __init__(self, leases: Leases, clock: Callable[[], float], deadline: float) -> None:
        self.leases = leases
        self._clock = clock
        self.deadline = deadline
        self._confirming: dict[Cursor, Promise[bool]] = {}

    def load(self, user_ids: Iterable[str]) -> Steps[tuple[Loaded | None, dict[str, UserConsent]]]:
        """
        One load: what it brought, and what of it the leases took. Of nobody: just the head, not lost on the leases.
        None: it lay behind what was seen before, and is discarded.
        """
        fetch, loaded = self.leases.begin_fetch(user_ids, self._clock()), None
        try:
            loaded = yield Call("load", (list(fetch.user_ids),))
        finally:
            users = self.leases.finish_fetch(fetch, loaded, self._clock())
        if fetch.lies_behind is None:
            return loaded, users
        yield from self._confirm(fetch.lies_behind)
        return None, {}

    def load_head(self) -> Steps[None]:
        """
        Where the feed begins.

        Raises:
            StoreUnavailable: the store lags: it cannot begin yet.
        """
        loaded, _ = yield from self.load(())
        if loaded is None and self.leases.applied is None:
            raise StoreUnavailable(LAGS)

    def poll(self, after: Cursor, wait: float) -> Steps[None]:
        """
        One poll of the change feed.

        Raises:
            StoreUnavailable: it says nothing: it lay behind what was seen before, or was to another question.
        """
        poll = self.leases.begin_poll(after, self._clock())
        changes: Changes = yield Call("changes", (after,), {"wait": wait})
        self.leases.finish_poll(poll, changes, self._clock())
        if poll.lies_behind is not None and (yield from self._confirm(poll.lies_behind)):
            raise StoreUnavailable(LAGS)

    def prove(self, cursor: Cursor, *, is_head: bool = False) -> Steps[bool]:
        """The shortest poll from *cursor*, a head seen or any token: is that of the store's history?"""
        poll = self.leases.begin_poll(cursor, self._clock())
        changes: Changes = yield Call("changes", (cursor,), {"wait": 0.0, "limit": 1})
        return self.leases.confirm(poll, changes, self._clock(), is_head=is_head)

    def _confirm(self, head: Cursor) -> Steps[bool]:
        """Whether a head that was seen is of the store's history still: asked once for all who wonder meanwhile."""
        mine: Promise[bool] = Promise()
        asked = self._confirming.setdefault(head, mine)
        if asked is not mine:
            try:
                return (yield Wait(asked, time.monotonic() + self.deadline))  # type: ignore[no-any-return]
            except Late:
                self._forget(head, asked)  # whoever asked may be gone
                raise StoreUnavailable(NOT_CONFIRMED) from None
        try:
            is_confirmed = yield from self.prove(head, is_head=True)
        except BaseException:
            mine.set_exception(StoreUnavailable(NOT_CONFIRMED))
            raise
        else:
            mine.set_result(is_confirmed)
        finally:
            self._forget(head, mine)
        return is_confirmed

    def _forget(self, head: Cursor, asked: Promise[bool]) -> None:
        if self._confirming.get(head) is asked:
            self._confirming.pop(head, None)

"""The part of `StoreExecutor` that calls the store's registry: its notices and its holders."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable
from functools import partial
from typing import Any, TypeVar

from ..holders import RegisteredHolder
from ..notices import NoticeText, RegisteredNotice
from .lanes import Lane
from .store_lanes import StoreLanes

T = TypeVar("T")


def unchanged(found: T) -> T:
    """Convert nothing."""
    return found


class RegistryExecutor(ABC):
    """The registry's methods as coroutines. Use it on one event loop only."""

    _store: Any
    _lanes: StoreLanes

    @abstractmethod
    async def _call(
        self,
        lane: Lane,
        caller: Hashable,
        call: Callable[[], Any],
        convert: Callable[[Any], T],
        *,
        is_allowed_when_broken: bool = False,
    ) -> T:
        """Make a call in its lane, if it is let in."""

    async def register_notice(
        self, caller: Hashable, text: NoticeText, by: str, convert: Callable[[RegisteredNotice], T]
    ) -> T:
        """See `Notices.register_notice`."""
        call = partial(self._store.register_notice, text, by=by)
        return await self._call(self._lanes.writers, (caller, False), call, convert)

    async def notice(self, caller: Hashable, notice: str, convert: Callable[[RegisteredNotice | None], T]) -> T:
        """See `Notices.notice`."""
        return await self._call(self._lanes.listers, caller, partial(self._store.notice, notice), convert)

    async def notices(
        self, caller: Hashable, after: str | None, limit: int, convert: Callable[[list[RegisteredNotice]], T]
    ) -> T:
        """See `Notices.notices`."""
        return await self._call(self._lanes.listers, caller, partial(self._store.notices, after, limit=limit), convert)

    async def require_notices(self, caller: Hashable) -> None:
        """See `Notices.require_notices`."""
        await self._call(self._lanes.writers, (caller, False), self._store.require_notices, unchanged)

    async def register_holder(
        self, caller: Hashable, holder: str, by: str, convert: Callable[[RegisteredHolder], T]
    ) -> T:
        """See `Holders.register_holder`."""
        call = partial(self._store.register_holder, holder, by=by)
        return await self._call(self._lanes.writers, (caller, False), call, convert)

    async def retire_holder(self, caller: Hashable, holder: str) -> None:
        """See `Holders.retire_holder`."""
        call = partial(self._store.retire_holder, holder)
        await self._call(self._lanes.writers, (caller, False), call, unchanged)

    async def holders(self, caller: Hashable, convert: Callable[[list[RegisteredHolder]], T]) -> T:
        """See `Holders.holders`."""
        return await self._call(self._lanes.listers, caller, self._store.holders, convert)

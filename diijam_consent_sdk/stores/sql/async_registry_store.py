"""The registry of a SQL store for asyncio: its notices and its holders."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TypeVar

from ...holders import RegisteredHolder
from ...notices import NoticeText, RegisteredNotice
from ..registry import MAX_NOTICES_PAGE
from .holders import HolderOperations
from .operations import Operations
from .registry import Registry
from .statements import Query, Transaction

T = TypeVar("T")


class AsyncSqlRegistry(ABC):
    """The part of `AsyncSqlStore` that keeps the registry."""

    _operations: Operations

    @property
    def _registry(self) -> Registry:
        return Registry(self._operations)

    @property
    def _holders(self) -> HolderOperations:
        return HolderOperations(self._operations)

    @abstractmethod
    async def _read(self, query: Query[T]) -> T:
        """See `SqlStore._read`."""

    @abstractmethod
    async def _write(self, transaction: Transaction[T]) -> T:
        """See `SqlStore._write`."""

    async def register_notice(self, text: NoticeText, *, by: str | None = None) -> RegisteredNotice:
        """See `Notices.register_notice`."""
        return await self._write(self._registry.register(text, by))

    async def notice(self, notice: str) -> RegisteredNotice | None:
        """See `Notices.notice`."""
        return await self._read(self._registry.notice(notice))

    async def notices(self, after: str | None = None, *, limit: int = MAX_NOTICES_PAGE) -> list[RegisteredNotice]:
        """See `Notices.notices`."""
        return await self._read(self._registry.page(after, limit))

    async def require_notices(self) -> None:
        """See `Notices.require_notices`."""
        await self._write(self._registry.require())

    async def register_holder(self, holder: str, *, by: str | None = None) -> RegisteredHolder:
        """See `Holders.register_holder`."""
        return await self._write(self._holders.register(holder, by))

    async def retire_holder(self, holder: str) -> None:
        """See `Holders.retire_holder`."""
        await self._write(self._holders.retire(holder))

    async def holders(self) -> list[RegisteredHolder]:
        """See `Holders.holders`."""
        return await self._read(self._holders.all())

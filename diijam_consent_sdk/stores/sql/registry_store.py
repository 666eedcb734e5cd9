"""
The registry of a SQL store for threads: its notices and its holders.

`async_registry_store` is its twin, with coroutines.
"""

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


class SqlRegistry(ABC):
    """The part of `SqlStore` that keeps the registry."""

    _operations: Operations

    @property
    def _registry(self) -> Registry:
        return Registry(self._operations)

    @property
    def _holders(self) -> HolderOperations:
        return HolderOperations(self._operations)

    @abstractmethod
    def _read(self, query: Query[T]) -> T:
        """Run a query on one unchanging state of the database."""

    @abstractmethod
    def _write(self, transaction: Transaction[T]) -> T:
        """Run a transaction; it is durable when this returns."""

    def register_notice(self, text: NoticeText, *, by: str | None = None) -> RegisteredNotice:
        """See `Notices.register_notice`."""
        return self._write(self._registry.register(text, by))

    def notice(self, notice: str) -> RegisteredNotice | None:
        """See `Notices.notice`."""
        return self._read(self._registry.notice(notice))

    def notices(self, after: str | None = None, *, limit: int = MAX_NOTICES_PAGE) -> list[RegisteredNotice]:
        """See `Notices.notices`."""
        return self._read(self._registry.page(after, limit))

    def require_notices(self) -> None:
        """See `Notices.require_notices`."""
        self._write(self._registry.require())

    def register_holder(self, holder: str, *, by: str | None = None) -> RegisteredHolder:
        """See `Holders.register_holder`."""
        return self._write(self._holders.register(holder, by))

    def retire_holder(self, holder: str) -> None:
        """See `Holders.retire_holder`."""
        self._write(self._holders.retire(holder))

    def holders(self) -> list[RegisteredHolder]:
        """See `Holders.holders`."""
        return self._read(self._holders.all())

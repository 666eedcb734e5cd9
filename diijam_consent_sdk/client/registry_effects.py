"""The effects of a client on its store's registry, and on what the holders in it owe; see `effects`."""

from __future__ import annotations

from collections.abc import Awaitable

import attrs

from ..holders import RegisteredHolder
from ..notices import NoticeText, RegisteredNotice
from ..stores.answers import ErasurePlace, OwedErasures
from .effects import AnyStore, StoreCall


@attrs.frozen
class RegisterNotice(StoreCall[RegisteredNotice]):
    """Register a notice."""

    text: NoticeText
    by: str | None

    def on(self, store: AnyStore) -> RegisteredNotice | Awaitable[RegisteredNotice]:
        """See `StoreCall.on`."""
        return store.register_notice(self.text, by=self.by)


@attrs.frozen
class LoadNotice(StoreCall[RegisteredNotice | None]):
    """Load a registered notice."""

    notice: str

    def on(self, store: AnyStore) -> RegisteredNotice | Awaitable[RegisteredNotice | None] | None:
        """See `StoreCall.on`."""
        return store.notice(self.notice)


@attrs.frozen
class NoticesAfter(StoreCall[list[RegisteredNotice]]):
    """Load the page of notices that follows an id."""

    after: str | None

    def on(self, store: AnyStore) -> list[RegisteredNotice] | Awaitable[list[RegisteredNotice]]:
        """See `StoreCall.on`."""
        return store.notices(self.after)


@attrs.frozen
class RequireNotices(StoreCall[None]):
    """Require notices, for good."""

    def on(self, store: AnyStore) -> Awaitable[None] | None:
        """See `StoreCall.on`."""
        return store.require_notices()


@attrs.frozen
class RegisterHolder(StoreCall[RegisteredHolder]):
    """Register a holder."""

    holder: str
    by: str | None

    def on(self, store: AnyStore) -> RegisteredHolder | Awaitable[RegisteredHolder]:
        """See `StoreCall.on`."""
        return store.register_holder(self.holder, by=self.by)


@attrs.frozen
class RetireHolder(StoreCall[None]):
    """Retire a holder."""

    holder: str

    def on(self, store: AnyStore) -> Awaitable[None] | None:
        """See `StoreCall.on`."""
        return store.retire_holder(self.holder)


@attrs.frozen
class ListHolders(StoreCall[list[RegisteredHolder]]):
    """Load the registered holders."""

    def on(self, store: AnyStore) -> list[RegisteredHolder] | Awaitable[list[RegisteredHolder]]:
        """See `StoreCall.on`."""
        return store.holders()


@attrs.frozen
class ErasuresAfter(StoreCall[OwedErasures]):
    """Load the page of what a holder owes that follows a place."""

    holder: str
    after: ErasurePlace | None = attrs.field(repr=False)

    def on(self, store: AnyStore) -> OwedErasures | Awaitable[OwedErasures]:
        """See `StoreCall.on`."""
        return store.erasures(self.holder, self.after)

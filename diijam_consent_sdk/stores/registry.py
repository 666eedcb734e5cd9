"""The part of the store protocol that keeps a ledger's registry, notices and holders: it takes no position there."""

from __future__ import annotations

from typing import Protocol

from ..holders import RegisteredHolder
from ..notices import NoticeText, RegisteredNotice

MAX_NOTICES_PAGE = 20  # each has at most 512 KiB of texts


class Notices(Protocol):
    """The registered notices of a ledger. Safe to use from several threads."""

    def register_notice(self, text: NoticeText, *, by: str | None = None) -> RegisteredNotice:
        """
        Register a notice, durable before this returns. It takes no position in the ledger.

        The same content again is the same registration: the first time and writer stay.

        Args:
            text: The notice.

            by: The writer that the registration names.

        Raises:
            InvalidEvent: other content is registered under the id, or the notice leaves a sensitive field unnamed.

            StoreUnavailable: nothing was written.

            OutcomeUnknown: it may have been registered; the same call again finds out.

            TypeError, ValueError: an argument is malformed.
        """

    def notice(self, notice: str) -> RegisteredNotice | None:
        """Read the notice that is registered under this id; None if the id is not registered."""

    def notices(self, after: str | None = None, *, limit: int = MAX_NOTICES_PAGE) -> list[RegisteredNotice]:
        """Read one page of the registered notices, in order of their ids, after *after*; empty after the last."""

    def require_notices(self) -> None:
        """Refuse, from now on and for good, `Granted` and `Notified` under an id that is not registered."""


class Holders(Protocol):
    """The registered holders of a ledger. Safe to use from several threads."""

    def register_holder(self, holder: str, *, by: str | None = None) -> RegisteredHolder:
        """
        Register who has copies of customers' data, durable before this returns. It takes no position in the ledger.

        The same name again is the same registration: the first time and writer stay.

        Args:
            holder: The name of the holder.

            by: The writer that the registration names.

        Raises:
            InvalidEvent: the ledger has as many holders as it takes.

            StoreUnavailable: nothing was written.

            OutcomeUnknown: it may have been registered; the same call again finds out.

            TypeError, ValueError: an argument is malformed.
        """

    def retire_holder(self, holder: str) -> None:
        """Remove a holder, which then owes nothing. One that is not registered changes nothing."""

    def holders(self) -> list[RegisteredHolder]:
        """Read the registered holders, in order of their names."""


class Registry(Notices, Holders, Protocol):
    """The whole registry."""


class AsyncNotices(Protocol):
    """The same registry, its methods coroutines."""

    async def register_notice(self, text: NoticeText, *, by: str | None = None) -> RegisteredNotice:
        """See `Notices.register_notice`."""

    async def notice(self, notice: str) -> RegisteredNotice | None:
        """See `Notices.notice`."""

    async def notices(self, after: str | None = None, *, limit: int = MAX_NOTICES_PAGE) -> list[RegisteredNotice]:
        """See `Notices.notices`."""

    async def require_notices(self) -> None:
        """See `Notices.require_notices`."""


class AsyncHolders(Protocol):
    """The same holders, the methods coroutines."""

    async def register_holder(self, holder: str, *, by: str | None = None) -> RegisteredHolder:
        """See `Holders.register_holder`."""

    async def retire_holder(self, holder: str) -> None:
        """See `Holders.retire_holder`."""

    async def holders(self) -> list[RegisteredHolder]:
        """See `Holders.holders`."""


class AsyncRegistry(AsyncNotices, AsyncHolders, Protocol):
    """The whole registry, its methods coroutines."""

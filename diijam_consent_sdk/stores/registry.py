"""The part of the store protocol that keeps a ledger's registry: what takes no position in the ledger."""

from __future__ import annotations

from typing import Protocol

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

"""The operations of a client on the registry of notices, written once for both clients."""

from __future__ import annotations

from collections.abc import Callable

from ..notices import NoticeText, RegisteredNotice
from .effects import Effects, LoadNotice, NoticesAfter, RegisterNotice, RequireNotices, perform
from .limiter import LimitedCalls


class RegistryOperations:
    """
    The operations of a client on the registry. No lease depends on them. Safe to use from several threads.

    Args:
        check_open: Raises `ClientClosed` if the client is closed, and continues its pending writes if not.

        calls: Runs each call within the deadline.

        actor: The writer that registrations name.
    """

    def __init__(self, check_open: Callable[[], None], calls: LimitedCalls, actor: str | None) -> None:
        self._check_open = check_open
        self._calls = calls
        self._actor = actor

    def register(self, text: NoticeText) -> Effects[RegisteredNotice]:
        """Register a notice."""
        self._check_open()
        return (
            yield from self._calls.run(perform(RegisterNotice(text, self._actor)), self._calls.until(), is_write=True)
        )

    def notice(self, notice: str) -> Effects[RegisteredNotice | None]:
        """Load a notice."""
        self._check_open()
        return (yield from self._calls.run(perform(LoadNotice(notice)), self._calls.until()))

    def notices(self) -> Effects[list[RegisteredNotice]]:
        """Load all notices, page by page; each page has a deadline."""
        self._check_open()
        found: list[RegisteredNotice] = []
        while True:
            after = found[-1].text.notice if found else None
            page = yield from self._calls.run(perform(NoticesAfter(after)), self._calls.until())
            if not page:
                return found
            found += page

    def require(self) -> Effects[None]:
        """Require notices."""
        self._check_open()
        yield from self._calls.run(perform(RequireNotices()), self._calls.until(), is_write=True)

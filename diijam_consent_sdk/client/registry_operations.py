"""The operations of a client on the registry of notices and holders, written once for both clients."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from ..due import OwedErasure
from ..holders import RegisteredHolder
from ..identifiers import identifier
from ..notices import NoticeText, RegisteredNotice
from ..stores.answers import ErasurePlace
from .effects import Effects, StoreCall, perform
from .limiter import LimitedCalls
from .registry_effects import (
    ErasuresAfter,
    ListHolders,
    LoadNotice,
    NoticesAfter,
    RegisterHolder,
    RegisterNotice,
    RequireNotices,
    RetireHolder,
)

T = TypeVar("T")


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

    def _run(self, call: StoreCall[T], *, is_write: bool = False) -> Effects[T]:
        self._check_open()
        return (yield from self._calls.run(perform(call), self._calls.until(), is_write=is_write))

    def register(self, text: NoticeText) -> Effects[RegisteredNotice]:
        """Register a notice."""
        return (yield from self._run(RegisterNotice(text, self._actor), is_write=True))

    def notice(self, notice: str) -> Effects[RegisteredNotice | None]:
        """Load a notice."""
        return (yield from self._run(LoadNotice(notice)))

    def notices(self) -> Effects[list[RegisteredNotice]]:
        """Load all notices, page by page; each page has a deadline."""
        found: list[RegisteredNotice] = []
        while True:
            page = yield from self._run(NoticesAfter(found[-1].text.notice if found else None))
            if not page:
                return found
            found += page

    def require(self) -> Effects[None]:
        """Require notices."""
        yield from self._run(RequireNotices(), is_write=True)

    def register_holder(self, holder: str) -> Effects[RegisteredHolder]:
        """Register a holder."""
        return (yield from self._run(RegisterHolder(identifier(holder), self._actor), is_write=True))

    def retire_holder(self, holder: str) -> Effects[None]:
        """Retire a holder."""
        yield from self._run(RetireHolder(identifier(holder)), is_write=True)

    def holders(self) -> Effects[list[RegisteredHolder]]:
        """Load the holders."""
        return (yield from self._run(ListHolders()))

    def erasures(self, holder: str) -> Effects[list[OwedErasure]]:
        """Load all that a holder owes, page by page; each page has a deadline."""
        holder = identifier(holder)
        found: list[OwedErasure] = []
        after: ErasurePlace | None = None
        while True:
            page = yield from self._run(ErasuresAfter(holder, after))
            found += page.erasures
            after = page.after
            if after is None:
                return found

"""A user's history in pages, over every store."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

import pytest

from diijam_consent_sdk import events as e
from diijam_consent_sdk.stores import MemoryStore, Store, history
from diijam_consent_sdk.stores.history import HistoryPage, join_history, read_history_page

from .contract import OPENED, Home, erase

PAGE = 3


@pytest.fixture(autouse=True)
def _short_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages of three entries."""
    monkeypatch.setattr(history, "MAX_HISTORY_PAGE", PAGE)


def page_of(store: Store, after: int) -> HistoryPage:
    """The page after a version."""
    page = read_history_page(store, "u-1", after)
    assert isinstance(page, HistoryPage)
    return page


def pages_of(store: Store) -> Iterable[HistoryPage]:
    """All pages."""
    after: int | None = 0
    while after is not None:
        yield (page := page_of(store, after))
        after = page.after


@pytest.mark.parametrize("number", [0, 1, PAGE - 1, PAGE, PAGE + 1, 3 * PAGE])
def test_the_pages_are_the_history(served_home: Home, number: int) -> None:
    """Each has as many entries as fit, in order, and none is empty but the only one of a user without entries."""
    store = served_home.open()
    store.append("other", [OPENED])
    if number:
        store.append("u-1", [e.Objected("surveys")] * number)
    store.append("other", [e.Objected("surveys")])
    pages = list(pages_of(store))
    assert [entry for page in pages for entry in page.entries] == store.history("u-1")
    assert [len(page.entries) for page in pages] == [PAGE] * (number // PAGE) + (
        [number % PAGE] if number % PAGE else []
    ) or [0]
    assert page_of(store, number).entries == []


def test_an_erasure_between_two_pages_leaves_nothing_of_the_first(served_home: Home) -> None:
    """The last page has the `Erased`, which is all that is given of the user."""
    store = served_home.open()
    store.append("u-1", [OPENED, *[e.Objected("surveys")] * 4])
    pages = pages_of(store)
    entries = list(next(iter(pages)).entries)
    erase(store, "u-1")
    for page in pages:
        entries += page.entries
    assert join_history(entries) == store.history("u-1")
    assert len(store.history("u-1")) == 1


class Whole:
    """A store that has no pages of its own."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def history(self, user_id: str) -> list[e.LedgerEntry]:
        """See `Store.history`."""
        return self._store.history(user_id)


class AsyncWhole(Whole):
    """The same for asyncio."""

    async def history(self, user_id: str) -> list[e.LedgerEntry]:  # type: ignore[override]
        """See `Store.history`."""
        return self._store.history(user_id)


def test_a_store_without_pages_gives_one() -> None:
    """Its page is all that follows the version, and the last."""
    store = MemoryStore()
    store.append("u-1", [e.Objected("surveys")] * 5)
    sync: Any = Whole(store)
    over_asyncio: Any = AsyncWhole(store)

    async def read() -> HistoryPage:
        """Read the async one's."""
        page = read_history_page(over_asyncio, "u-1", 2)
        assert not isinstance(page, HistoryPage)
        return await page

    assert page_of(sync, 2) == asyncio.run(read()) == HistoryPage(store.history("u-1")[2:], None)
    store.close()

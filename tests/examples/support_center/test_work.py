"""The work list is read once for many pages, and shows at once what staff did."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import attrs
import pytest

from diijam_consent_sdk import AsyncConsentClient, RequestKind
from diijam_consent_sdk.events import AccountOpened, ErasureConfirmed, RequestFiled, RequestResolved
from diijam_consent_sdk.stores import MemoryStore
from examples.support_center import work
from examples.support_center.work import Work

ERASE = RequestFiled("q-1", RequestKind.ERASURE)


class CountingStore(MemoryStore):
    """A ledger in memory that counts the readings of its open requests."""

    readings = 0

    def open_requests(self, *arguments: Any, **options: Any) -> Any:
        """See `Store.open_requests`."""
        self.readings += 1
        return super().open_requests(*arguments, **options)


@pytest.fixture
def store() -> Iterator[CountingStore]:
    """A ledger with one holder and one request."""
    store = CountingStore()
    store.register_holder("mailer")
    store.append("u-1", [AccountOpened(), RequestFiled("q-1", RequestKind.ACCESS)])
    yield store
    store.close()


def run(store: MemoryStore, ask: Callable[[AsyncConsentClient, Work], Coroutine[Any, Any, None]]) -> None:
    """Ask a work list over the ledger."""

    async def asked() -> None:
        """Ask within an event loop."""
        async with AsyncConsentClient(store, follow=False) as consent:
            await ask(consent, Work(consent))

    asyncio.run(asked())


def test_many_pages_share_one_reading(store: CountingStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Twenty pages at once read the list once; after an act, or once it is old, it is read again."""

    async def ask(_: AsyncConsentClient, work_list: Work) -> None:
        """Open twenty pages, then act, then let the list grow old."""
        found = await asyncio.gather(*(work_list.due() for _ in range(20)))
        assert (store.readings, len({id(due) for due in found})) == (1, 1)
        work_list.forget()
        await work_list.due()
        await work_list.due()
        assert store.readings == 2
        monkeypatch.setattr(work, "KEPT_SECONDS", 0.0)
        await work_list.due()
        assert store.readings == 3

    run(store, ask)


def test_an_act_while_the_list_is_read(store: CountingStore) -> None:
    """A list that was asked for before an act is not shown after it."""

    async def ask(_: AsyncConsentClient, work_list: Work) -> None:
        """Act between the question and the answer."""
        reading = asyncio.create_task(work_list.due())
        await asyncio.sleep(0)
        work_list.forget()
        await reading
        await work_list.due()
        assert store.readings == 2

    run(store, ask)


def test_an_erasure_newer_than_the_list(store: CountingStore) -> None:
    """It is found although the list has none yet, and who confirmed since the list was read is not missing."""

    async def ask(consent: AsyncConsentClient, work_list: Work) -> None:
        """Begin an erasure, and confirm it."""
        assert await work_list.erasure_of(await consent.load("u-1")) is None
        store.append("u-2", [AccountOpened()])
        assert (await work_list.due()).held == ()
        store.append("u-2", [ERASE])
        before = await consent.load("u-2")
        found = await work_list.erasure_of(before)
        assert found is not None
        assert found.missing == ("mailer",)
        store.append("u-2", [ErasureConfirmed("mailer")])
        found = await work_list.erasure_of(await consent.load("u-2"))
        assert (found is not None and found.missing, store.readings) == ((), 2)
        work_list.forget()
        await work_list.due()
        store.append("u-2", [RequestResolved("q-1", "cancelled"), attrs.evolve(ERASE, request="q-2")])
        found = await work_list.erasure_of(await consent.load("u-2"))
        assert found is not None
        assert found.missing == ("mailer",), "who confirmed the one before has yet to confirm this one"

    run(store, ask)

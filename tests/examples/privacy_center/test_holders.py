"""The centre's two holders confirm what they owe, and its page of requests tells who has."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from litestar.testing import TestClient

from diijam_consent_sdk import AsyncConsentClient
from diijam_consent_sdk.events import ErasureConfirmed, HoldPlaced, HoldReleased, RequestFiled
from diijam_consent_sdk.stores import MemoryStore, SqliteStore
from diijam_consent_sdk.vocabulary import HoldKind, RequestKind
from examples.privacy_center.app import create_app
from examples.privacy_center.customers import CHOSEN, Customer, fill
from examples.privacy_center.holders import HOLDERS, confirm_owed
from tests.examples.visitor import FailingStore, Visitor

from .conftest import LAN, said

ERASURE = RequestFiled("q-1", RequestKind.ERASURE)


def with_client(store: MemoryStore, work: Any) -> None:
    """Do work with a client of the store."""

    async def run() -> None:
        """Open the client for it."""
        async with AsyncConsentClient(store, follow=False) as client:
            await work(client)

    coroutine: Coroutine[Any, Any, None] = run()
    asyncio.run(coroutine)


def test_a_holder_confirms_what_is_gone(store: FailingStore) -> None:
    """All that it owes at once; what a hold keeps, only once the hold has ended."""
    store.register_holder("mailer")
    store.append(LAN, [HoldPlaced("h-1", HoldKind.DEBT, ["payment"]), ERASURE])
    store.append("u-2", [ERASURE])
    with_client(store, lambda client: confirm_owed(client, "mailer"))
    assert [owed.user_id for owed in store.erasures("mailer").erasures] == [LAN]
    store.append(LAN, [HoldReleased("h-1")])
    with_client(store, lambda client: confirm_owed(client, "mailer"))
    assert store.erasures("mailer").erasures == ()
    asked, confirmed = store.history("u-2")
    assert confirmed.event == ErasureConfirmed("mailer", asked.at)
    assert store.history("u-2")[-1].provenance.method == "system"


def test_a_holder_that_is_not_registered_is_a_mistake(store: FailingStore) -> None:
    """It is told at once, and nothing is confirmed."""
    with pytest.raises(ValueError, match="no such holder"):
        with_client(store, lambda client: confirm_owed(client, "mailer"))


def test_the_page_tells_who_has_erased(store: FailingStore) -> None:
    """While the centre runs both holders confirm by themselves, also after the store failed; the page says so."""
    for holder in HOLDERS:
        store.register_holder(holder)
    people = [Customer(LAN, "Nguyễn Thị Lan", "other")]
    app = create_app(lambda: AsyncConsentClient(store), people, holders=HOLDERS)
    with TestClient(app, base_url="http://127.0.0.1") as http:
        visitor = Visitor(http)
        visitor.sign_in()
        visitor.open("/requests")
        assert "has yet to be erased" not in visitor.html
        store.append(LAN, [ERASURE])
        ends = time.monotonic() + 20
        while len(said(store)) < 5 and time.monotonic() < ends:
            time.sleep(0.02)
        began_at = store.history(LAN)[2].at
        assert set(said(store)[3:]) == {ErasureConfirmed(holder, began_at) for holder in HOLDERS}
        visitor.open("/requests")
    assert visitor.html.count("was erased") == 2
    assert "The copy in the data warehouse was erased" in visitor.html


def test_the_page_tells_who_has_not(store: FailingStore) -> None:
    """A holder that did not confirm is named; without holders the page says nothing of copies."""
    store.register_holder("mailer")
    store.append(LAN, [ERASURE, ErasureConfirmed("mailer")])
    for holders, shown in (((), 0), (HOLDERS, 1)):
        app = create_app(lambda: AsyncConsentClient(store), [Customer(LAN, "Lan", "other")])
        app.state.holders = holders
        with TestClient(app, base_url="http://127.0.0.1") as http:
            visitor = Visitor(http)
            visitor.sign_in()
            visitor.open("/requests")
            assert visitor.html.count("The copy in the mailing system was erased") == shown
            assert visitor.html.count("The copy in the data warehouse has yet to be erased") == shown


def test_the_made_up_ledger_has_both_holders(tmp_path: Path) -> None:
    """They owe what was asked for in its past, and the one that is erased was confirmed."""
    fill(tmp_path / "consents.db")
    with closing(SqliteStore(tmp_path / "consents.db")) as store:
        assert [known.holder for known in store.holders()] == list(HOLDERS)
        owed = {erasure.user_id for erasure in store.erasures("mailer").erasures}
        assert {CHOSEN[user_id] for user_id in owed} == {"leaving", "closed"}

"""The registry of notices through either client."""

from __future__ import annotations

import asyncio
import threading
from typing import cast

import attrs
import pytest

from diijam_consent_sdk import AsyncConsentClient, NoticeText
from diijam_consent_sdk import events as e
from diijam_consent_sdk.errors import ClientClosed, InvalidEvent, OutcomeUnknown, StoreUnavailable
from diijam_consent_sdk.holders import RegisteredHolder
from diijam_consent_sdk.stores import AsyncStore
from diijam_consent_sdk.testing import FaultyStore
from tests.client.conftest import Face, MakeClient
from tests.service.test_store_executor import AsyncMemoryStore

PROMO = NoticeText("promo", {"vi": "Khuyến mại"}, ["marketing"], ["email"])


def test_a_notice_is_registered_and_found(client: Face, store: FaultyStore) -> None:
    """The client gives what the store keeps, and None for an id that is not registered."""
    registered = client.register_notice(PROMO)
    assert registered == store.inner.notice("promo") == client.notice("promo")
    assert client.notice("other") is None
    with pytest.raises(InvalidEvent, match="under a new id"):
        client.register_notice(attrs.evolve(PROMO, data=[]))


def test_all_notices_are_listed_however_many(client: Face) -> None:
    """Several pages make one list, in order of ids; an empty registry gives an empty one."""
    assert client.notices() == []
    ids = [f"n-{number:02}" for number in range(45)]
    for notice in reversed(ids):
        client.register_notice(attrs.evolve(PROMO, notice=notice))
    assert [registered.text.notice for registered in client.notices()] == ids


def test_notices_are_required_for_good(client: Face) -> None:
    """From then on a consent names a registered notice, or is refused; the refusal says what to do."""
    client.require_notices()
    with pytest.raises(InvalidEvent, match="register the text under this id before it is named"):
        client.record("u-1", e.AccountOpened(), e.Granted("marketing", "promo", ["email"]))
    client.register_notice(PROMO)
    client.record("u-1", e.AccountOpened(), e.Granted("marketing", "promo", ["email"]))


def test_a_registration_that_takes_too_long_may_have_been_written(make_client: MakeClient, store: FaultyStore) -> None:
    """`StoreUnavailable` would promise that nothing was written, so a write is `OutcomeUnknown`, a read is not."""
    client = make_client(deadline=0.2)
    store.hold["register_notice"] = store.hold["notice"] = held = threading.Event()
    with pytest.raises(OutcomeUnknown, match="make the same call again"):
        client.register_notice(PROMO)
    with pytest.raises(StoreUnavailable, match="did not answer within"):
        client.notice("promo")
    held.set()
    assert client.register_notice(PROMO).text == PROMO


def test_a_closed_client_registers_nothing(client: Face, store: FaultyStore) -> None:
    """Each call raises `ClientClosed`, and the store is not asked."""
    client.close()
    store.calls.clear()
    for call in (lambda: client.register_notice(PROMO), lambda: client.notice("promo"), client.notices):
        with pytest.raises(ClientClosed):
            call()
    with pytest.raises(ClientClosed):
        client.require_notices()
    assert store.calls == []


def test_a_registration_under_way_when_the_client_closes_may_have_been_written() -> None:
    """What had begun cannot be called back, so it is not said that it was not sent."""
    began = asyncio.Event()

    class Slow(AsyncMemoryStore):
        """Its answer is on the way for long."""

        async def register_holder(self, holder: str, *, by: str | None = None) -> RegisteredHolder:
            """See `Store.register_holder`."""
            registered = self.inner.register_holder(holder, by=by)
            began.set()
            await asyncio.sleep(20)
            return registered

    async def main() -> None:
        """Close the client while it registers."""
        consent = AsyncConsentClient(cast(AsyncStore, slow))
        registering = asyncio.create_task(consent.register_holder("mailer"))
        await began.wait()
        await consent.close()
        with pytest.raises(OutcomeUnknown):
            await registering

    slow = Slow()
    asyncio.run(main())
    assert [known.holder for known in slow.inner.holders()] == ["mailer"]

"""The types that users see. Never run: mypy reads it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from typing import assert_type

from diijam_consent_sdk import (
    AsyncConsentClient,
    Channel,
    ConsentClient,
    Decision,
    Explanation,
    Field,
    Market,
    NoticeText,
    Process,
    Purpose,
    Reason,
    UserConsent,
)
from diijam_consent_sdk.events import AccountOpened, LedgerEntry
from diijam_consent_sdk.links import UnsubscribeLinks
from diijam_consent_sdk.notices import RegisteredNotice
from diijam_consent_sdk.policy import sending_window
from diijam_consent_sdk.record import ConsentRecord
from diijam_consent_sdk.sending import Window
from diijam_consent_sdk.stores import Appended, MemoryStore, SqliteStore
from diijam_consent_sdk.stores.http.async_store import AsyncHttpStore
from diijam_consent_sdk.stores.http.store import HttpStore
from diijam_consent_sdk.stores.postgres.async_store import AsyncPostgresStore
from diijam_consent_sdk.stores.postgres.sync_store import PostgresStore
from diijam_consent_sdk.stores.protocol import AsyncStore, Store
from diijam_consent_sdk.testing import AsyncConsentForTests, ConsentForTests, FaultyStore


def guards(user: UserConsent) -> None:
    """Each guard gives a decision, members and plain words alike."""
    assert_type(user.can_market("email"), Decision)
    assert_type(user.can_share("acme", {"email"}, Purpose.MARKETING), Decision)
    assert_type(user.can_process("surveys", None), Decision)
    assert_type(user.is_public("avatar"), Decision)
    assert_type(user.can_retain("email"), Decision)
    assert_type(user.decide(Process("surveys")), Decision)
    assert_type(user.decide(Market("email")).or_raise().reason, Reason)
    assert_type(user.public_view({"avatar": 1}), dict[str, int])
    known: dict[Field, int] = {Field.AVATAR: 1}
    assert_type(user.public_view(known), dict[Field, int])


def sending(links: UnsubscribeLinks) -> None:
    """What stands beside a yes takes plain words too."""
    assert_type(sending_window("call", datetime.now(UTC)), Window)
    assert_type(links.url("u-1", ["email"]), str)
    assert_type(links.headers("u-1", {Channel.EMAIL}), dict[str, str])


def sync(consent: ConsentClient) -> None:
    """The client."""
    assert_type(consent.user("u-1"), UserConsent)
    assert_type(consent.users(["u-1"]), Iterator[UserConsent])
    assert_type(consent.permitted(["u-1"], Market("email")), Iterator[str])
    assert_type(consent.can_market("u-1", "email"), Decision)
    assert_type(consent.public_view("u-1", dict.fromkeys(Field, 1)), dict[Field, int])
    assert_type(consent.record("u-1", AccountOpened()), Appended)
    assert_type(consent.load("u-1"), ConsentRecord)
    assert_type(consent.explain("u-1", Market("email")), Explanation)
    assert_type(consent.explain("u-1", Market("email"), at=datetime.now(UTC)), Explanation)
    assert_type(consent.history("u-1"), list[LedgerEntry])
    assert_type(consent.head(), str)
    assert_type(consent.register_notice(NoticeText("n-1", {"vi": "lời"}, {"surveys"})), RegisteredNotice)
    assert_type(consent.notice("n-1"), RegisteredNotice | None)
    assert_type(consent.notices(), list[RegisteredNotice])


async def asynchronous(consent: AsyncConsentClient) -> None:
    """Its asynchronous face."""
    assert_type(await consent.user("u-1"), UserConsent)
    assert_type(consent.users(["u-1"]), AsyncIterator[UserConsent])
    assert_type(consent.permitted(["u-1"], Market("email")), AsyncIterator[str])
    assert_type(await consent.record("u-1", AccountOpened()), Appended)
    assert_type(await consent.load("u-1"), ConsentRecord)
    assert_type(await consent.notices(), list[RegisteredNotice])


async def kit(consent: ConsentForTests) -> None:
    """The kit gives the same types, so that a service's tests are checked as the service is."""
    assert_type(consent.opted_in("u-1", "email"), UserConsent)
    assert_type(consent.asynchronous(), AsyncConsentForTests)
    assert_type(await consent.asynchronous().user("u-1"), UserConsent)


def stores() -> list[Store]:
    """Every store is one by its types, the test kit's too."""
    return [
        MemoryStore(),
        SqliteStore("consents.db"),
        PostgresStore("postgresql:///consents"),
        HttpStore("https://consent.example.vn", token="t"),
        FaultyStore(MemoryStore()),
    ]


def asynchronous_stores() -> list[AsyncStore]:
    """The same of the asynchronous ones."""
    return [
        AsyncPostgresStore("postgresql:///consents"),
        AsyncHttpStore("https://consent.example.vn", token="t"),
    ]

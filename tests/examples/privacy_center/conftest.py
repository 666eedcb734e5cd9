"""A privacy centre over a store that can be made to fail, and a visitor of it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from litestar.testing import TestClient

from diijam_consent_sdk import AsyncConsentClient
from diijam_consent_sdk.events import AccountOpened, Event, Notified
from diijam_consent_sdk.stores import MemoryStore
from examples.privacy_center.app import create_app
from examples.privacy_center.customers import Customer
from tests.examples.visitor import FailingStore, Visitor

LAN, NAM = "u-lan", "u-nam"
PARTNER = Notified("n-1", "tre-xanh-records", {"username", "recently_followed_artists"}, "marketing")


@pytest.fixture
def store() -> Iterator[FailingStore]:
    """A ledger in which Lan opened an account and was notified of a sharing; no other user did."""
    store = FailingStore()
    store.append(LAN, [AccountOpened(), PARTNER])
    yield store
    store.failure = None
    store.close()


@pytest.fixture
def visitor(store: FailingStore) -> Iterator[Visitor]:
    """A visitor of the centre over that ledger."""
    people = [Customer(LAN, "Nguyễn Thị Lan", "other"), Customer(NAM, None, "other")]
    with TestClient(create_app(lambda: AsyncConsentClient(store), people), base_url="http://127.0.0.1") as http:
        yield Visitor(http)


@pytest.fixture
def lan(visitor: Visitor) -> Visitor:
    """The visitor, signed in as Lan and reading English."""
    visitor.sign_in()
    return visitor


def said(store: MemoryStore, user_id: str = LAN) -> list[Event]:
    """What the ledger has of a user."""
    return [entry.event for entry in store.history(user_id)]

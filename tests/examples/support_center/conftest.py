"""A support centre over a store that can be made to fail, and two members of its staff."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import attrs
import pytest
from litestar import Litestar
from litestar.testing import TestClient

from diijam_consent_sdk import AsyncConsentClient, RequestKind
from diijam_consent_sdk.events import AccountOpened, Event, RequestFiled
from examples.support_center import work
from examples.support_center.app import create_app
from examples.support_center.staff import Staff
from tests.examples.visitor import FailingStore, Forms, Visitor

LAN, NAM = "u-lan", "u-nam"
HA, BAO = Staff("staff-1", "Trịnh Hà Vy"), Staff("staff-2", "Lê Quốc Bảo")


@attrs.define
class Clock:
    """The store's clock, which a test sets."""

    now: datetime

    def __call__(self) -> datetime:
        """Give the time."""
        return self.now


@attrs.define
class Desk(Visitor):
    """A staff member who opens customers and fills in their forms."""

    def open_customer(self, user_id: str) -> Forms:
        """Open a customer by id."""
        return self.send("/open", {**self.open("/requests").forms[0], "customer": user_id})

    def do(self, act: str, number: str = "1", **filled: str) -> Forms:
        """Fill in a form of the customer's page, and send it."""
        return self.press(f"request-{number}-{act}", **filled)


@pytest.fixture
def clock() -> Clock:
    """The time of the store: half a day ago, as the pages go by the real one."""
    return Clock(datetime.now(UTC) - timedelta(hours=12))


@pytest.fixture
def store(clock: Clock) -> Iterator[FailingStore]:
    """A ledger in which Lan asked to see her data half a day ago."""
    store = FailingStore(clock=clock)
    store.append(LAN, [AccountOpened(), RequestFiled("q-1", RequestKind.ACCESS)])
    clock.now = datetime.now(UTC)
    yield store
    store.failure = None
    store.close()


@pytest.fixture
def http(store: FailingStore, monkeypatch: pytest.MonkeyPatch) -> Iterator[TestClient[Litestar]]:
    """A centre over that ledger, which keeps no work list for the next page."""
    monkeypatch.setattr(work, "KEPT_SECONDS", 0.0)
    app = create_app(lambda: AsyncConsentClient(store), [HA, BAO])
    with TestClient(app, base_url="http://127.0.0.1") as http:
        http.cookies.set("language", "en")
        yield http


@pytest.fixture
def visitor(http: TestClient[Litestar]) -> Desk:
    """Somebody who has not signed in, and reads English."""
    return Desk(http)


@pytest.fixture
def ha(visitor: Desk) -> Desk:
    """The first staff member, signed in."""
    visitor.open("/")
    visitor.press("who-0")
    return visitor


def said(store: FailingStore, user_id: str = LAN) -> list[Event]:
    """What the ledger has of a user."""
    return [entry.event for entry in store.history(user_id)]

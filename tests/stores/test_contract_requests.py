"""The contract of stores that list open requests: all users who have some, page by page, and no others."""

from __future__ import annotations

import pytest

from diijam_consent_sdk import ConsentClient
from diijam_consent_sdk import events as e
from diijam_consent_sdk.record import ConsentRecord
from diijam_consent_sdk.stores import Store

from .contract import OPENED, Home, erase, sign_up

REQUESTING = ["u-2", "u-3", "u-5", "é", "中"]


@pytest.fixture
def listing(store: Store) -> Store:
    """A store with users, some with requests that are open, resolved, or erased with their user."""
    sign_up(store, *(f"u-{number}" for number in range(1, 7)), "é", "中")
    for user_id in [*REQUESTING, "u-1", "u-6"]:
        store.append(user_id, [e.RequestFiled("q-1", "access")])
    store.append("u-1", [e.RequestResolved("q-1", "fulfilled")])
    erase(store, "u-6")
    return store


@pytest.mark.parametrize("limit", [1, 2, 1000, 2**70])
def test_every_page_together(limit: int, listing: Store) -> None:
    """The pages hold each user with open requests once, in order of ids, with the record that `load` gives."""
    found: list[ConsentRecord] = []
    page = listing.open_requests(limit=limit)
    while page.after is not None:
        found += page.records
        page = listing.open_requests(page.after, limit=limit)
        assert len(page.records) <= limit
    found += page.records
    assert [record.user_id for record in found] == REQUESTING
    assert tuple(found) == listing.load(REQUESTING).records


def test_nobody_asked_for_anything(store: Store) -> None:
    """A ledger without requests has one page, and it is empty; so has one whose users name them in their ids."""
    store.append('"requests":{}', [OPENED])
    page = store.open_requests()
    assert (page.records, page.after) == ((), None)
    store.append('"requests":{}', [e.RequestFiled('"requests":{}', "access")])
    page = store.open_requests()
    assert [record.user_id for record in page.records] == ['"requests":{}']


@pytest.mark.parametrize("limit", [0, -1])
def test_a_page_of_requests_holds_something(limit: int, listing: Store) -> None:
    """A limit below 1 is a mistake."""
    with pytest.raises(ValueError, match="limit"):
        listing.open_requests(limit=limit)


def test_the_clients_work_list(listing: Store, home: Home) -> None:
    """`due` of a client is made of all pages, by the store's clock."""
    listing.append("u-4", [e.RequestFiled("q-2", "erasure")])
    with ConsentClient(listing, follow=False, deadline=5) as client:
        owed = client.due()
    assert [it.user_id for it in owed.requests] == [*REQUESTING, "u-4"]
    assert [it.user_id for it in owed.erasable] == ["u-4"]
    assert owed.at == home.clock()

"""The contract of every store: what proves an entry comes with it."""

from __future__ import annotations

from diijam_consent_sdk import ConsentClient, Market, Reason
from diijam_consent_sdk import events as e

from .contract import OPENED, Home, append_each, erase, sign_up

MAILED = Market("email")


def test_an_entry_has_its_hash_in_the_chain(served_home: Home) -> None:
    """The last entry of an append has the hash of its cursor, so a head that was kept proves the entry."""
    store = served_home.open()
    sign_up(store, "u-2")
    appended = append_each(store, [("u-1", [OPENED, e.Objected("surveys")]), ("u-2", [e.AccountClosed()])])
    of_one, of_two = store.history("u-1"), store.history("u-2")
    assert of_one[-1].hash == appended[0].cursor.hash
    assert of_two[-1].hash == appended[1].cursor.hash
    assert len({entry.hash for entry in [*of_one, *of_two]}) == 4


def test_a_tombstone_has_its_hash(served_home: Home) -> None:
    """The entry of an erasure is proved as any other."""
    store = served_home.open()
    sign_up(store, "u-1")
    appended = erase(store, "u-1")
    assert [entry.hash for entry in store.history("u-1")] == [appended.cursor.hash]


def test_a_past_moment_is_explained_from_the_entries(served_home: Home) -> None:
    """On every store the answer of a past moment is that of the record of that time, and of an erased user ERASED."""
    store = served_home.open()
    store.append("u-1", [OPENED, e.Granted("marketing", "promo", ["email"])])
    granted_at = served_home.clock.at
    served_home.clock.tick(60)
    store.append("u-1", [e.Withdrawn("marketing")])
    with ConsentClient(store, follow=False, deadline=10) as client:
        assert client.explain("u-1", MAILED, granted_at).decision.reason is Reason.CONSENTED
        assert client.explain("u-1", MAILED).decision.reason is Reason.WITHDRAWN
        erase(store, "u-1")
        assert client.explain("u-1", MAILED, granted_at).decision.reason is Reason.ERASED


def test_a_customers_file_is_as_of_the_stores_head(served_home: Home) -> None:
    """On every store the file has the head, all entries with their hashes, and the store's time."""
    store = served_home.open()
    appended = store.append("u-1", [OPENED, e.Granted("surveys", "s-1")])
    sign_up(store, "u-2")
    with ConsentClient(store, follow=False, deadline=10) as client:
        file = client.customer_file("u-1", "en")
        assert file.head == str(store.load([]).cursor)
        assert (file.made_at, file.record) == (served_home.clock.at, store.load(["u-1"]).records[0])
        assert file.entries[-1].hash == appended.cursor.hash
        assert appended.cursor.hash in file.to_html()
        erase(store, "u-1")
        tombstone = client.customer_file("u-1", "vi")
        assert [type(entry.event) for entry in tombstone.entries] == [e.Erased]
        assert "s-1" not in tombstone.to_html() + tombstone.to_json()

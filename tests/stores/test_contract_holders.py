"""The contract of every store's holders: who is registered, what each owes, and an `Erased` that has to wait."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import partial

import pytest

from diijam_consent_sdk import events as e
from diijam_consent_sdk.due import OwedErasure
from diijam_consent_sdk.errors import InvalidEvent, StoreUnavailable
from diijam_consent_sdk.holders import Erasure, RegisteredHolder
from diijam_consent_sdk.stores import Store, Write
from diijam_consent_sdk.stores.answers import ErasurePlace
from diijam_consent_sdk.stores.sql import holders as sql_holders
from diijam_consent_sdk.stores.sql.store import SqlStore
from diijam_consent_sdk.vocabulary import Field
from tests.strategies import START

from .contract import OPENED, Home, at_once, head, insist, sign_up

ERASURE = e.RequestFiled("q-1", "erasure")
CLOSED = e.AccountClosed()
MAILER, WAREHOUSE = e.ErasureConfirmed("mailer"), e.ErasureConfirmed("warehouse")
WAITS = "append ErasureConfirmed of each holder that has yet to confirm, or retire the holder: "


@pytest.fixture
def store(served_home: Home) -> Store:
    """A store on an empty ledger, also behind a service."""
    return served_home.open()


def names(store: Store) -> list[str]:
    """The names of the registered holders."""
    return [known.holder for known in store.holders()]


def owed_to(store: Store, holder: str, limit: int = 1000) -> list[OwedErasure]:
    """All pages of what a holder owes."""
    found: list[OwedErasure] = []
    after: ErasurePlace | None = None
    while True:
        page = store.erasures(holder, after, limit=limit)
        assert len(page.erasures) <= limit
        found += page.erasures
        if page.after is None:
            return found
        after = page.after


def test_holders_are_listed_by_name(served_home: Home) -> None:
    """Each with the time of the store and its writer, also for other stores on the ledger."""
    store = served_home.open()
    assert store.holders() == []
    by = "both" if "Http" in type(served_home).__name__ else "dpo"
    for name in ("warehouse", "mailer", "Ổ lưu"):
        assert store.register_holder(name, by="dpo") == RegisteredHolder(name, START, by)
    assert names(served_home.open()) == ["mailer", "warehouse", "Ổ lưu"]
    assert {known.registered_at for known in store.holders()} == {START}


def test_registered_twice_nothing_happens(served_home: Home) -> None:
    """The first time and writer stay; retired and registered again, it is another registration."""
    store = served_home.open()
    first = store.register_holder("mailer", by="first")
    served_home.clock.tick(60)
    assert store.register_holder("mailer", by="second") == first
    assert store.holders() == [first]
    store.retire_holder("mailer")
    assert store.holders() == []
    assert store.register_holder("mailer").registered_at == START + timedelta(seconds=60)


def test_retiring_an_unknown_holder_changes_nothing(store: Store) -> None:
    """Nothing is raised, and the others stay."""
    store.register_holder("mailer")
    store.retire_holder("search")
    store.retire_holder("search")
    assert names(store) == ["mailer"]


def test_holders_take_no_position(store: Store) -> None:
    """The head stays where it was, and nobody changed."""
    before = sign_up(store, "u-1").cursor
    store.register_holder("mailer")
    store.retire_holder("mailer")
    assert head(store) == before
    assert store.changes(before, wait=0).user_ids == {}


@pytest.mark.parametrize("name", ["", " mailer", "mai\nler", "x" * 257])
def test_a_malformed_name_is_a_plain_error(store: Store, name: str) -> None:
    """A name or writer that is no id is a `ValueError`, and so is a holder that is not registered."""
    for call in (store.register_holder, store.retire_holder, store.erasures):
        with pytest.raises(ValueError, match="id"):
            call(name)
    with pytest.raises(ValueError, match="id"):
        store.register_holder("mailer", by=name)
    with pytest.raises(ValueError, match="no such holder is registered"):
        store.erasures("mailer")
    with pytest.raises(ValueError, match="limit is at least 1"):
        store.erasures("mailer", limit=0)
    assert names(store) == []


def test_erased_waits_for_each_holder(store: Store) -> None:
    """It is refused whole, with the names in the reason, until all have confirmed; then the tombstone alone is left."""
    store.register_holder("warehouse")
    store.register_holder("mailer")
    store.append("u-1", [OPENED, ERASURE])
    with pytest.raises(InvalidEvent, match=f"{WAITS}mailer, warehouse$"):
        store.append("u-1", [e.Withdrawn("surveys"), e.Erased()])
    assert store.load(["u-1"]).records[0].version == 2
    store.append("u-1", [WAREHOUSE])
    with pytest.raises(InvalidEvent, match=f"{WAITS}mailer$"):
        store.append("u-1", [e.Erased()])
    store.append("u-1", [MAILER, e.Erased()])
    assert [type(entry.event) for entry in store.history("u-1")] == [e.Erased]
    (record,) = store.load(["u-1"]).records
    assert (record.account, record.erasure, record.version) == ("erased", None, 5)
    assert owed_to(store, "mailer") == owed_to(store, "warehouse") == []


def test_a_confirmation_is_kept_with_the_erasure(store: Store) -> None:
    """The record has when it began and who confirmed, and the history the event; a second one is refused."""
    store.register_holder("mailer")
    store.append("u-1", [OPENED, CLOSED])
    store.append("u-1", [MAILER])
    (record,) = store.load(["u-1"]).records
    assert record.erasure == Erasure(began_at=START, confirmed=frozenset({"mailer"}))
    assert store.history("u-1")[-1].event == MAILER
    for event, reason in ((MAILER, "has confirmed the erasure already"), (WAREHOUSE, "no such holder is registered")):
        with pytest.raises(InvalidEvent, match=reason):
            store.append("u-1", [event])
    with pytest.raises(InvalidEvent, match="no erasure is pending"):
        store.append("u-2", [OPENED, MAILER])


def test_a_late_confirmation_is_of_the_erasure_that_was_listed(served_home: Home) -> None:
    """It is refused once the user cancelled and asked again: the holder lists that one, and confirms it."""
    store = served_home.open()
    store.register_holder("mailer")
    store.append("u-1", [OPENED, ERASURE])
    served_home.clock.tick(1)
    (listed,) = owed_to(store, "mailer")
    store.append("u-1", [e.RequestResolved("q-1", "cancelled"), e.RequestFiled("q-2", "erasure")])
    with pytest.raises(InvalidEvent, match="not under way any more"):
        store.append("u-1", [e.ErasureConfirmed("mailer", listed.began_at)])
    (again,) = owed_to(store, "mailer")
    store.append("u-1", [e.ErasureConfirmed("mailer", again.began_at), e.Erased()])


def test_many_writes_are_judged_by_the_holders_too(store: Store) -> None:
    """In one transaction each waits for its own confirmations, and the refused ones leave the others alone."""
    store.register_holder("mailer")
    sign_up(store, "u-1", "u-2", "u-3")
    results = store.append_many([
        Write("u-1", [CLOSED, e.Erased()]), Write("u-2", [ERASURE]), Write("u-2", [e.Erased()]),
        Write("u-2", [MAILER]), Write("u-2", [e.Erased()]), Write("u-3", [CLOSED]), Write("u-3", [e.Erased()]),
    ])  # fmt: skip
    assert [isinstance(result, InvalidEvent) for result in results] == [True, False, True, False, False, False, True]
    records = store.load(["u-1", "u-2", "u-3"]).records
    assert [record.account for record in records] == ["open", "erased", "closed"]


def test_appends_at_once_are_judged_by_the_holders_too(store: Store) -> None:
    """Of erasures that several threads begin and end at once, none is done that a holder has not confirmed."""
    store.register_holder("mailer")
    users = [f"u-{number}" for number in range(4)]
    sign_up(store, *users)

    def leave(number: int) -> str:
        insist(store.append, users[number], [ERASURE])
        if number % 2:
            insist(store.append, users[number], [MAILER])
        try:
            insist(store.append, users[number], [e.Erased()])
        except InvalidEvent as refused:
            return str(refused)
        return "done"

    assert [WAITS in found for found in at_once(leave, 4)] == [True, False] * 2


def test_a_holder_is_owed_what_began_after_it_was_registered(served_home: Home) -> None:
    """What began before it was there does not wait for it, also on other stores."""
    store, other = served_home.open(), served_home.open()
    store.append("u-1", [OPENED, ERASURE])
    served_home.clock.tick(1)
    other.register_holder("mailer")
    assert owed_to(store, "mailer") == []
    store.append("u-2", [OPENED, ERASURE])
    assert [owed.user_id for owed in owed_to(other, "mailer")] == ["u-2"]
    assert store.append("u-1", [e.Erased()]).version == 3
    with pytest.raises(InvalidEvent, match="mailer"):
        other.append("u-2", [e.Erased()])


def test_a_clock_that_was_set_back_takes_nothing_from_what_is_owed(served_home: Home) -> None:
    """What begins after a registration is not dated before it: the holder owes it."""
    store = served_home.open()
    served_home.clock.tick(60)
    store.register_holder("mailer")
    served_home.clock.tick(-60)
    store.append("u-1", [OPENED, CLOSED])
    store.append("u-2", [ERASURE])
    assert {owed.user_id for owed in owed_to(store, "mailer")} == {"u-1", "u-2"}
    assert store.history("u-2")[0].at == START + timedelta(seconds=60)


def test_retiring_a_holder_ends_what_it_owes(store: Store) -> None:
    """The erasure can be done at once; registered again, the holder owes only what begins from then on."""
    store.register_holder("mailer")
    store.append("u-1", [OPENED, CLOSED])
    store.retire_holder("mailer")
    with pytest.raises(InvalidEvent, match="no such holder"):
        store.append("u-1", [MAILER])
    with pytest.raises(ValueError, match="no such holder"):
        store.erasures("mailer")
    assert store.append("u-1", [e.Erased()]).version == 3


def test_what_is_owed_comes_in_the_order_it_is_due(served_home: Home) -> None:
    """Requests by due time, then closed accounts that nobody asked to erase; each with the fields that holds keep."""
    store = served_home.open()
    store.register_holder("mailer")
    store.register_holder("warehouse")
    processor = e.RequestFiled("q-1", "erasure", processor=True)
    hold = e.HoldPlaced("h-1", "debt", ["payment"], START + timedelta(days=2))
    store.append("u-late", [OPENED, processor])
    store.append("u-closed", [OPENED, CLOSED])
    store.append("u-also-closed", [OPENED, hold, e.HoldPlaced("h-2", "tax", ["email"]), CLOSED])
    store.append("u-confirmed", [OPENED, ERASURE, MAILER])
    store.append("u-open", [OPENED, e.RequestFiled("q", "access")])
    served_home.clock.tick(86_400)
    store.append("u-unknown", [ERASURE])
    store.append("u-early", [OPENED, e.RequestFiled("q-1", "erasure", received_at=START - timedelta(days=1))])

    def due(days: int) -> datetime:
        return START + timedelta(days=days)

    expected = [
        OwedErasure("u-early", due(19), frozenset(), due(1)),
        OwedErasure("u-unknown", due(21), frozenset(), due(1)),
        OwedErasure("u-late", due(30), frozenset(), START),
        OwedErasure("u-also-closed", None, frozenset({Field.PAYMENT, Field.EMAIL}), START),
        OwedErasure("u-closed", None, frozenset(), START),
    ]
    assert owed_to(store, "mailer") == expected
    for limit in (1, 2, 6):
        assert owed_to(store, "mailer", limit) == expected
    assert [owed.user_id for owed in owed_to(store, "warehouse", 3)] == [
        "u-early", "u-confirmed", "u-unknown", "u-late", "u-also-closed", "u-closed",
    ]  # fmt: skip
    assert store.erasures("mailer").at == due(1)
    served_home.clock.tick(86_400)
    assert owed_to(store, "mailer")[3].kept == {Field.EMAIL}


def test_what_is_owed_is_of_now(store: Store) -> None:
    """An end, a reopening, a confirmation and an extension show at the next call."""
    store.register_holder("mailer")
    store.append("u-1", [OPENED, ERASURE])
    store.append("u-2", [OPENED, CLOSED])
    before = owed_to(store, "mailer")
    assert [owed.user_id for owed in before] == ["u-1", "u-2"]
    store.append("u-1", [e.RequestExtended("q-1", "archive")])
    after = owed_to(store, "mailer")
    assert before[0].due_at is not None
    assert after[0].due_at == before[0].due_at + timedelta(days=20)
    store.append("u-2", [OPENED])
    store.append("u-1", [e.RequestResolved("q-1", "cancelled")])
    assert owed_to(store, "mailer") == []
    store.append("u-2", [CLOSED])
    assert [owed.user_id for owed in owed_to(store, "mailer")] == ["u-2"]
    store.append("u-2", [MAILER])
    assert owed_to(store, "mailer") == []


def test_a_ledger_takes_so_many_holders(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next is refused with what to do; one that is registered already is not."""
    monkeypatch.setattr("diijam_consent_sdk.stores.sql.holders.MAX_HOLDERS", 2)
    store.register_holder("mailer")
    store.register_holder("warehouse")
    with pytest.raises(InvalidEvent, match="holders: retire one first"):
        store.register_holder("search")
    store.register_holder("mailer")
    store.retire_holder("mailer")
    store.register_holder("search")
    assert names(store) == ["search", "warehouse"]


def test_a_ledger_with_holders_verifies(home: Home) -> None:
    """Erasures under way, confirmed, ended and done are all in order."""
    store = home.open()
    store.register_holder("mailer")
    for number in range(6):
        store.append(f"u-{number}", [OPENED, ERASURE])
    store.append("u-0", [MAILER])
    store.append("u-1", [MAILER, e.Erased()])
    store.append("u-2", [CLOSED])
    store.append("u-3", [e.RequestResolved("q-1", "cancelled")])
    if isinstance(store, SqlStore):  # the asynchronous store has no `verify`
        assert store.verify() == head(store)


def test_a_closed_store_knows_no_holder(home: Home) -> None:
    """After `close` every call raises `StoreUnavailable`."""
    store = home.open()
    store.close()
    calls = (store.register_holder, store.retire_holder, store.erasures)
    for call in (*(partial(call, "mailer") for call in calls), store.holders):
        with pytest.raises(StoreUnavailable):
            call()


def test_records_of_too_many_bytes_are_listed_one_by_one(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages get shorter where records are large, and one that is larger alone than a page may be stands in no way."""
    store = home.open()
    store.register_holder("mailer")
    for user_id in "abcd":
        store.append(user_id, [OPENED, ERASURE] if user_id in "ab" else [OPENED, CLOSED])
    monkeypatch.setattr(sql_holders, "MAX_LOAD_BYTES", 1)
    assert [owed.user_id for owed in owed_to(store, "mailer")] == ["a", "b", "c", "d"]

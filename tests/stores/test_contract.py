"""The contract of every store: loading, appending, idempotency, time, history, closing and ids."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from diijam_consent_sdk import events as e
from diijam_consent_sdk.errors import InvalidEvent, KeyReused, StoreUnavailable, TooLarge, VersionConflict
from diijam_consent_sdk.record import unopened
from diijam_consent_sdk.stores import Store, Write, wire
from diijam_consent_sdk.stores.postgres import dialect as postgres_dialect
from diijam_consent_sdk.stores.protocol import MAX_LOAD_BYTES
from diijam_consent_sdk.stores.sqlite import dialect as sqlite_dialect
from diijam_consent_sdk.vocabulary import Account, Field
from tests.domain.samples import EACH_EVENT, NEEDED
from tests.strategies import START

from .contract import (
    AGREED,
    OPENED,
    TOLD,
    Batch,
    Home,
    append_each,
    at_once,
    folded,
    head,
    insist,
    record_of,
    repeat_of,
    sign_up,
)

SECRET = "vinh.secret"


def test_an_empty_ledger_has_its_head_before_the_first_entry(store: Store) -> None:
    """The head of an empty ledger has position 0."""
    loaded = store.load([])
    assert (loaded.cursor.position, loaded.records) == (0, ())


def test_an_unknown_user_has_version_0(store: Store) -> None:
    """A user who was never opened has a record all the same, of version 0."""
    assert store.load(["u-1"]).records == (unopened("u-1"),)


def test_no_ids_give_just_the_head(store: Store) -> None:
    """Loading nobody tells where the ledger ends."""
    appended = store.append("u-1", [OPENED, TOLD])
    loaded = store.load([])
    assert (loaded.cursor, loaded.records) == (appended.cursor, ())


def test_one_record_per_id_in_order(store: Store) -> None:
    """Each id asked for has its record at its first place, and only there."""
    sign_up(store, "u-1", "u-2", "u-3")
    asked = ["u-3", "nobody", "u-1", "u-3", "u-2", "nobody", "u-3"]
    records = store.load(asked).records
    assert [record.user_id for record in records] == ["u-3", "nobody", "u-1", "u-2"]
    assert [record.version for record in records] == [1, 0, 1, 1]


def test_many_ids_at_once(store: Store) -> None:
    """Hundreds of ids give hundreds of records, in order."""
    sign_up(store, "u-7", "u-77")
    asked = [f"u-{number}" for number in reversed(range(500))]
    records = store.load(asked).records
    assert [record.user_id for record in records] == asked
    assert [record.user_id for record in records if record.version] == ["u-77", "u-7"]


@pytest.mark.parametrize("collection", [tuple, set, iter, dict.fromkeys], ids=["tuple", "set", "iterator", "dict"])
def test_ids_come_in_any_iterable(collection: Callable[[list[str]], Any], store: Store) -> None:
    """What can be iterated over names users."""
    sign_up(store, "u-1")
    assert [record.version for record in store.load(collection(["u-1"])).records] == [1]


def test_load_holds_every_acknowledged_append(store: Store) -> None:
    """A load after an append shows its record at its cursor."""
    batches: list[Batch] = [[OPENED], [TOLD, AGREED], [e.Granted("surveys", "n-9")], [e.AccountClosed()]]
    for batch in batches:
        appended = store.append("u-1", batch)
        loaded = store.load(["u-1"])
        assert (loaded.cursor, loaded.records) == (appended.cursor, (appended.record,))


def test_each_event_comes_back_as_it_was(store: Store) -> None:
    """Every kind of event is accepted where it makes sense, and stands in the history as it was appended."""
    store.register_holder("mailer")
    for number, event in enumerate(EACH_EVENT):
        user_id = f"u-{number}"
        before: list[e.Event] = [] if isinstance(event, e.AccountOpened) else [OPENED]
        if isinstance(event, e.ErasureConfirmed):
            before += [e.AccountClosed()]
        elif isinstance(event, e.Erased):
            before += [e.AccountClosed(), e.ErasureConfirmed("mailer")]
        elif before:
            before += NEEDED
        appended = store.append(user_id, [*before, event])
        history = store.history(user_id)
        assert history[-1].event == event
        assert store.load([user_id]).records == (appended.record,)
        assert appended.version == history[-1].version == len(before) + 1


def test_positions_have_no_gap(store: Store) -> None:
    """Across users and batches the entries are numbered from 1 in the order they were committed."""
    appended = append_each(
        store, [("a", [OPENED]), ("b", [OPENED, TOLD, AGREED]), ("a", [TOLD, AGREED]), ("c", [OPENED])]
    )
    cursors = [answer.cursor for answer in appended]
    assert [cursor.position for cursor in cursors] == [1, 4, 6, 7]
    assert len({cursor.epoch for cursor in cursors}) == 1
    assert len({cursor.hash for cursor in cursors}) == 4
    assert {u: [entry.position for entry in store.history(u)] for u in "abc"} == {
        "a": [1, 5, 6],
        "b": [2, 3, 4],
        "c": [7],
    }


def test_refusals_leave_no_gap(store: Store) -> None:
    """What was refused took no position and no version."""
    sign_up(store, "u-1")
    for _ in range(3):
        with pytest.raises(InvalidEvent):
            store.append("u-1", [TOLD, OPENED])
    appended = store.append("u-1", [TOLD])
    assert (appended.cursor.position, appended.version) == (2, 2)


def test_a_version_more_with_each_entry(store: Store) -> None:
    """Versions count the entries of one user, whatever is written to others."""
    for number in range(1, 4):
        assert store.append("a", [OPENED, e.AccountClosed()]).version == 2 * number
        assert sign_up(store, f"b-{number}").version == 1
    assert [entry.version for entry in store.history("a")] == [1, 2, 3, 4, 5, 6]


def test_all_events_or_none(store: Store) -> None:
    """A batch whose last event is refused writes nothing."""
    before = sign_up(store, "u-1")
    with pytest.raises(InvalidEvent):
        store.append("u-1", [TOLD, AGREED, OPENED])
    assert store.load(["u-1"]).records == (before.record,)
    assert (head(store), len(store.history("u-1"))) == (before.cursor, 1)


def test_each_event_is_judged_after_those_before(store: Store) -> None:
    """An event may rest on an earlier one of its batch, and be refused because of one."""
    store.append("u-1", [OPENED, TOLD, AGREED, e.AccountClosed(), OPENED])
    with pytest.raises(InvalidEvent):
        store.append("u-2", [OPENED, e.AccountClosed(), TOLD])
    with pytest.raises(InvalidEvent):
        store.append("u-2", [OPENED, AGREED, TOLD])
    assert store.load(["u-2"]).records == (unopened("u-2"),)


def test_an_empty_batch_is_a_mistake(store: Store) -> None:
    """There is no append of nothing, not even for a key."""
    with pytest.raises(ValueError, match="no events"):
        store.append("u-1", [], idempotency_key="k-1")
    assert head(store).position == 0


@pytest.mark.parametrize(
    "events",
    [["AccountOpened"], [None], [e.AccountOpened], [OPENED, {"type": "AccountClosed"}], 7, None, OPENED],
    ids=["word", "none", "class", "fields", "number", "nothing", "bare event"],
)
def test_what_is_no_event_is_a_mistake(events: Any, store: Store) -> None:
    """Only events are appended, and what stands before them is not."""
    with pytest.raises(TypeError):
        store.append("u-1", events)
    assert head(store).position == 0


def test_expected_version(store: Store) -> None:
    """A batch that expects the version there is, is written."""
    assert store.append("u-1", [OPENED, TOLD], expected_version=0).version == 2
    assert store.append("u-1", [AGREED], expected_version=2).version == 3


@pytest.mark.parametrize("expected", [0, 1, 3])
def test_another_version_than_expected(expected: int, store: Store) -> None:
    """A batch that expects another version is refused whole, and the error tells both."""
    before = store.append("u-1", [OPENED, TOLD])
    with pytest.raises(VersionConflict) as caught:
        store.append("u-1", [AGREED], expected_version=expected)
    assert (caught.value.expected, caught.value.actual) == (expected, 2)
    assert head(store) == before.cursor


@pytest.mark.parametrize("bad", [True, 1.0, "1", b"1", [1]], ids=repr)
def test_what_is_no_version_is_a_mistake(bad: Any, store: Store) -> None:
    """A version of another type is a `TypeError`, though it may equal the version there is; nothing is written."""
    sign_up(store, "u-1")
    with pytest.raises(TypeError, match="expected_version is a whole number or None"):
        store.append("u-1", [TOLD], expected_version=bad)
    with pytest.raises(ValueError, match="expected_version is 0 or more"):
        store.append("u-1", [TOLD], expected_version=-1)
    assert head(store).position == 1


@pytest.mark.parametrize("bad", [True, 1, b"k", ["k"]], ids=repr)
def test_what_is_no_key_is_a_mistake(bad: Any, store: Store) -> None:
    """A key of another type is a `TypeError`, an empty or hostile one a `ValueError`; nothing is written."""
    with pytest.raises(TypeError, match="an id is a string"):
        store.append("u-1", [OPENED], idempotency_key=bad)
    for hostile in ("", "k" * 257, "k\x00", "k\ud800"):
        with pytest.raises(ValueError, match="an id h"):
            store.append("u-1", [OPENED], idempotency_key=hostile)
    assert head(store).position == 0


class Text(str):
    """A string as other libraries hand it out, numpy.str_ for one."""

    __slots__ = ()


class Stamp(datetime):
    """A datetime as other libraries hand it out, pandas.Timestamp for one."""


def test_strings_and_times_of_other_libraries(store: Store) -> None:
    """An id, word, key or time of a subclass is written and read as the plain value."""
    until = Stamp(2036, 1, 1, tzinfo=UTC)
    batch: Batch = [OPENED, e.Granted(Text("surveys"), Text("n-1"), expires_at=until)]
    appended = store.append(Text("u-1"), batch, idempotency_key=Text("k-1"))
    assert store.append("u-1", batch, idempotency_key="k-1") == repeat_of(appended)
    assert store.load([Text("u-1")]).records == store.load(["u-1"]).records == (appended.record,)
    assert [entry.event for entry in store.history(Text("u-1"))] == batch
    assert record_of(appended).consents["surveys"].expires_at == until


def test_the_same_key_gives_the_same_answer(store: Store) -> None:
    """A repeated append answers as the first did, also after later writes, and writes nothing."""
    sign_up(store, "u-1", "u-2")
    first = store.append("u-1", [TOLD, AGREED], expected_version=1, idempotency_key="k-1")
    assert store.append("u-1", [TOLD, AGREED], expected_version=1, idempotency_key="k-1") == repeat_of(first)
    store.append("u-1", [e.AgreementWithdrawn("n-1"), e.AccountClosed()])
    last = sign_up(store, "u-3")
    assert store.append("u-1", [TOLD, AGREED], expected_version=1, idempotency_key="k-1") == repeat_of(first)
    assert store.append("u-1", iter((TOLD, AGREED)), idempotency_key="k-1") == repeat_of(first)
    assert head(store) == last.cursor
    assert len(store.history("u-1")) == 5


def test_the_same_key_after_reopening(lasting_home: Home) -> None:
    """Another store on the ledger gives the same answer to the same key."""
    batch: Batch = [OPENED, TOLD, e.Granted("marketing", "n-1", ["email", "call"])]
    first = lasting_home.open().append("u-1", batch, idempotency_key="k-1")
    lasting_home.close()
    lasting_home.clock.tick(3600)
    store = lasting_home.open()
    assert store.append("u-1", batch, idempotency_key="k-1") == repeat_of(first)
    sign_up(store, "u-2")
    assert store.append("u-1", batch, idempotency_key="k-1") == repeat_of(first)


def test_equal_events_are_the_same_events(store: Store) -> None:
    """A repeated batch is known by its content, not by how it was spelled."""
    first = store.append("u-1", [OPENED, e.Granted("marketing", "n", ["email", "call"])], idempotency_key="k")
    again: Batch = [e.AccountOpened("direct"), e.Granted("marketing", "n", ["call", "email", "call"])]
    assert store.append("u-1", again, idempotency_key="k") == repeat_of(first)


@pytest.mark.parametrize(
    "others",
    [[TOLD], [TOLD, AGREED, AGREED], [TOLD, e.AgreementWithdrawn("n-1")], [AGREED, TOLD]],
    ids=["fewer", "more", "a no among them", "another order"],
)
def test_a_key_belongs_to_its_events(others: list[e.Event], store: Store) -> None:
    """The same key with other events that do not only take away is a mistake, and writes nothing."""
    sign_up(store, "u-1")
    first = store.append("u-1", [TOLD, AGREED], idempotency_key="k-1")
    with pytest.raises(KeyReused, match="idempotency_key"):
        store.append("u-1", others, idempotency_key="k-1")
    (result,) = store.append_many([Write("u-1", others, None, "k-1")])
    assert isinstance(result, KeyReused)
    assert head(store) == first.cursor


def test_a_key_belongs_to_its_user(store: Store) -> None:
    """Two users may have the same key for different events."""
    first = store.append("u-1", [OPENED], idempotency_key="k-1")
    second = store.append("u-2", [OPENED, TOLD], idempotency_key="k-1")
    assert (record_of(first).user_id, record_of(second).user_id, second.cursor.position) == ("u-1", "u-2", 3)
    assert store.append("u-1", [OPENED], idempotency_key="k-1") == repeat_of(first)


def test_without_a_key_nothing_is_repeated(store: Store) -> None:
    """The same events without a key are written again."""
    sign_up(store, "u-1")
    assert [store.append("u-1", [TOLD]).version for _ in range(3)] == [2, 3, 4]


def test_the_key_of_a_refused_batch_is_free(store: Store) -> None:
    """A key is remembered by a batch that was written alone."""
    sign_up(store, "u-1")
    with pytest.raises(InvalidEvent):
        store.append("u-1", [AGREED], idempotency_key="k-1")
    with pytest.raises(VersionConflict):
        store.append("u-1", [TOLD], expected_version=7, idempotency_key="k-1")
    assert store.append("u-1", [TOLD, AGREED], idempotency_key="k-1").version == 3


def test_entries_bear_the_stores_time(home: Home) -> None:
    """The entries of a batch are stamped with the wall clock, in UTC."""
    store = home.open()
    home.clock.at = (START + timedelta(hours=1, microseconds=7)).astimezone(timezone(timedelta(hours=7)))
    record = record_of(store.append("u-1", [OPENED, TOLD]))
    stamps = {entry.at for entry in store.history("u-1")} | {record.account_changed_at, store.load([]).at}
    assert stamps == {START + timedelta(hours=1, microseconds=7)}
    assert {stamp.utcoffset() for stamp in stamps if stamp} == {timedelta()}


def test_time_never_runs_back(home: Home) -> None:
    """While the clock is set back, entries and answers bear the time of the last entry of any user."""
    store = home.open()
    home.clock.tick(100)
    sign_up(store, "u-1")
    home.clock.tick(-60)
    assert store.load(["u-1"]).at == START + timedelta(seconds=100)
    sign_up(store, "u-2")
    home.clock.tick(70)
    assert store.load([]).at == START + timedelta(seconds=110)
    sign_up(store, "u-3")
    stamps = [store.history(user_id)[0].at for user_id in ("u-1", "u-2", "u-3")]
    assert stamps == [START + timedelta(seconds=seconds) for seconds in (100, 100, 110)]


def test_time_never_runs_back_past_reopening(lasting_home: Home) -> None:
    """A store that opens under a clock that was set back goes on from the time of the last entry."""
    lasting_home.clock.tick(100)
    sign_up(lasting_home.open(), "u-1")
    lasting_home.close()
    lasting_home.clock.tick(-60)
    store = lasting_home.open()
    assert store.load([]).at == START + timedelta(seconds=100)
    sign_up(store, "u-2")
    assert store.history("u-2")[0].at == START + timedelta(seconds=100)


def test_events_are_judged_by_the_stores_time(home: Home) -> None:
    """What has expired by the last entry's time is refused, also while the clock says otherwise."""
    store = home.open()
    home.clock.tick(100)
    sign_up(store, "u-1")
    home.clock.tick(-60)
    with pytest.raises(InvalidEvent):
        store.append("u-1", [e.Granted("surveys", "n-1", expires_at=START + timedelta(seconds=100))])
    store.append("u-1", [e.Granted("surveys", "n-1", expires_at=START + timedelta(seconds=101))])


def test_history_is_what_was_appended(home: Home) -> None:
    """A user's entries, oldest first, with position, version, time and event, and nobody else's."""
    store = home.open()
    sign_up(store, "u-2", "u-1")
    home.clock.tick(5)
    store.append("u-1", [TOLD, AGREED])
    later = START + timedelta(seconds=5)
    assert store.history("u-1") == [
        e.LedgerEntry(2, "u-1", 1, START, OPENED),
        e.LedgerEntry(3, "u-1", 2, later, TOLD),
        e.LedgerEntry(4, "u-1", 3, later, AGREED),
    ]


def test_a_record_is_the_fold_of_its_history(store: Store) -> None:
    """Folding a user's history gives the record that the store loads."""
    store.append("u-1", [OPENED, *NEEDED, e.Granted("marketing", "n", ["call"]), e.Objected("payment")])
    store.append("u-1", [e.Published("avatar"), e.Restricted(["email"]), e.HoldReleased("h-1")])
    assert store.load(["u-1"]).records == (folded("u-1", store.history("u-1")),)


def test_an_unknown_user_has_no_history(store: Store) -> None:
    """The history of a user that no append named is empty."""
    sign_up(store, "u-1")
    assert store.history("u-2") == []


NOES = (e.Withdrawn("marketing", ["email"]), e.Objected("payment"), e.Restricted(["phone"]), e.Hidden("avatar"))


def test_a_no_needs_no_account(store: Store) -> None:
    """What who was never opened says is kept, told of in changes, and stays when an account is opened."""
    start = head(store)
    appended = [store.append("u-1", [no]) for no in (*NOES, e.RequestFiled("q-1", "access"))]
    assert store.changes(start, wait=0).user_ids == {"u-1": start.position + 5}
    assert [entry.event for entry in store.history("u-1")][:4] == list(NOES)
    assert store.load(["u-1"]).records == (appended[-1].record,)
    assert record_of(appended[-1]).account is Account.UNKNOWN
    opened = record_of(store.append("u-1", [OPENED]))
    assert opened.account is Account.OPEN
    before = appended[-1].record
    for kept in ("consents", "objected", "restricted", "requests"):
        assert getattr(opened, kept) == getattr(before, kept) != getattr(unopened("u-1"), kept)


def test_an_erasure_needs_no_account(store: Store) -> None:
    """A user who was never opened can be erased on request; a tombstone stays, and nothing is opened after it."""
    store.append("u-1", [*NOES, e.RequestFiled("q-1", "erasure")])
    appended = store.append("u-1", [e.Erased()])
    assert [entry.event for entry in store.history("u-1")] == [e.Erased()]
    assert (record_of(appended).account, appended.version) == (Account.ERASED, 6)
    with pytest.raises(InvalidEvent):
        store.append("u-1", [OPENED])


def test_an_append_has_at_most_a_thousand_events(store: Store) -> None:
    """A thousand events are taken; one more is a mistake of the caller, whatever they are, and nothing is written."""
    no = e.Withdrawn("surveys")
    with pytest.raises(ValueError, match=r"^one append has at most 1,000 events: make several of it$") as caught:
        store.append("u-1", [no] * 1_001)
    assert not isinstance(caught.value, InvalidEvent)
    with pytest.raises(ValueError, match="at most 1,000 events"):
        store.append("u-1", itertools.repeat(no))
    assert head(store).position == 0
    assert store.append("u-1", [no] * 1_000).version == 1_000


def test_a_thousand_of_the_largest_events_are_one_append(served_home: Home) -> None:
    """Ids of 256 characters of four bytes pass every home, also where a question's size is limited."""
    store = served_home.open()
    ids = ["\U0001d11e" * 251 + f"{number:05}" for number in range(1_000)]
    told = [e.Notified(notice, "\U0001d11e" * 256, list(Field), "marketing") for notice in ids]
    store.append("u-1", [e.AccountOpened()])
    assert store.append("u-1", told).version == 1_001


def test_what_one_user_may_have_is_bounded(store: Store) -> None:
    """The fifty-first open request is refused with its reason; an erasure request and a no are not."""
    store.append("u-1", [OPENED, *(e.RequestFiled(f"q-{number}", "access") for number in range(50))])
    with pytest.raises(InvalidEvent, match="50 requests are open: resolve some first"):
        store.append("u-1", [e.RequestFiled("q-50", "access")])
    assert store.append("u-1", [e.RequestFiled("q-51", "erasure"), *NOES]).version == 56


CALLS: dict[str, Callable[[Store], object]] = {
    "load": lambda store: store.load(["u-1"]),
    "load nobody": lambda store: store.load([]),
    "append": lambda store: store.append("u-2", [OPENED]),
    "repeated append": lambda store: store.append("u-1", [OPENED], idempotency_key="k-1"),
    "history": lambda store: store.history("u-1"),
}


@pytest.mark.parametrize("call", CALLS)
def test_a_closed_store_does_nothing(call: str, store: Store) -> None:
    """After `close`, which may be called again, each method raises `StoreUnavailable`."""
    cursor = store.append("u-1", [OPENED], idempotency_key="k-1").cursor
    store.close()
    store.close()
    with pytest.raises(StoreUnavailable):
        CALLS[call](store)
    with pytest.raises(StoreUnavailable):
        store.changes(cursor, wait=5)


def test_another_store_on_the_ledger_stays_open(lasting_home: Home) -> None:
    """Closing one store closes no other."""
    one, other = lasting_home.open(), lasting_home.open()
    sign_up(one, "u-1")
    one.close()
    assert sign_up(other, "u-2").cursor.position == 2


HOSTILE: dict[str, Any] = {
    "empty": "",
    "too long": SECRET + "x" * (257 - len(SECRET)),
    "null": f"{SECRET}\0",
    "line end": f"{SECRET}\n",
    "control": f"\x85{SECRET}",
    "delete": f"{SECRET}\x7f",
    "high surrogate": f"{SECRET}\ud83d",
    "low surrogate": f"\udcff{SECRET}",
    "white space": f"{SECRET} ",
    "invisible": f"\u202e{SECRET}",
    "decomposed": f"{SECRET}e\u0301",
    "bytes": SECRET.encode(),
    "number": 20260301,
    "none": None,
    "list": [SECRET],
}
USES: dict[str, Callable[[Store, Any], object]] = {
    "load": lambda store, user_id: store.load(["u-1", user_id]),
    "append": lambda store, user_id: store.append(user_id, [OPENED], idempotency_key="k-1"),
    "history": lambda store, user_id: store.history(user_id),
    "key": lambda store, key: store.append("u-1", [OPENED], idempotency_key=key),
}


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize("hostile", HOSTILE)
def test_what_is_no_id_is_a_mistake(hostile: str, use: str, store: Store) -> None:
    """No method takes such an id or key, and no error repeats it: it may be personal."""
    bad = HOSTILE[hostile]
    if use == "key" and bad is None:
        assert store.append("u-1", [OPENED], idempotency_key=bad).version == 1
        return
    with pytest.raises(ValueError if isinstance(bad, str) else TypeError) as caught:
        USES[use](store, bad)
    assert SECRET not in str(caught.value)
    assert "20260301" not in str(caught.value)
    assert head(store).position == 0


@pytest.mark.parametrize("bad", [SECRET, SECRET.encode(), 7, None], ids=["word", "bytes", "number", "none"])
def test_one_id_is_no_list_of_ids(bad: Any, store: Store) -> None:
    """Loading takes a list of ids; one id in its place is not read letter by letter."""
    with pytest.raises(TypeError) as caught:
        store.load(bad)
    assert SECRET not in str(caught.value)


GOOD = [
    ".", "..", "../../etc/passwd", "x" * 256, "😀" * 256, "Nguyễn Thị Ánh Tuyết", "👩🏽🇻🇳", "100%_sure", "%00%2e%2e",
    "'; DROP TABLE entries; --", '"quoted"', "back\\slash", "{}", "null", "0", "1e3", "a b", "u-1?mode=ro#x",
    "é", "x\u0301", "a\u00a0b", "a\u3000b",
]  # fmt: skip


def test_any_other_id_is_a_user_of_its_own(store: Store) -> None:
    """Dots, quotes, emoji and other scripts name users and keys as letters do, each its own."""
    for number, user_id in enumerate(GOOD, start=1):
        assert store.append(user_id, [OPENED], idempotency_key=user_id).cursor.position == number
    loaded = store.load(GOOD)
    assert [record.user_id for record in loaded.records] == GOOD
    assert {record.version for record in loaded.records} == {1}
    assert [[entry.user_id for entry in store.history(user_id)] for user_id in GOOD] == [[user_id] for user_id in GOOD]
    for number, user_id in enumerate(GOOD, start=1):
        assert store.append(user_id, [OPENED], idempotency_key=user_id).cursor.position == number


def test_threads_lose_nothing(store: Store) -> None:
    """Eight threads that append at once, each to other users and all to a common one leave every entry, and no gap."""
    sign_up(store, "common")

    def work(number: int) -> list[int]:
        positions = []
        for turn in range(8):
            user_id, batch = f"u-{number}-{turn}" if turn % 2 else "common", list[e.Event]([TOLD])
            if user_id != "common":
                batch.insert(0, OPENED)
            appended = insist(store.append, user_id, batch)
            positions.append(appended.cursor.position)
            assert store.load([user_id]).cursor.position >= positions[-1]
        return positions

    answers = at_once(work)
    users = [f"u-{number}-{turn}" for number in range(8) for turn in range(1, 8, 2)]
    entries = [entry for user_id in ["common", *users] for entry in store.history(user_id)]
    assert sorted(entry.position for entry in entries) == list(range(1, 1 + 1 + 32 + 2 * 32))
    assert {position for positions in answers for position in positions} <= {entry.position for entry in entries}
    assert all(positions == sorted(positions) for positions in answers)
    assert [entry.version for entry in store.history("common")] == list(range(1, 34))
    assert head(store).position == len(entries)


def test_one_of_many_threads_gets_a_version(store: Store) -> None:
    """Of eight threads that expect the same version one writes, the others conflict."""
    sign_up(store, "u-1")

    def work(number: int) -> str:
        try:
            insist(store.append, "u-1", [TOLD], expected_version=1)
        except VersionConflict:
            return "conflict"
        return "written"

    assert Counter(at_once(work)) == {"written": 1, "conflict": 7}
    assert store.load(["u-1"]).records[0].version == 2


def test_one_key_in_many_threads_writes_once(store: Store) -> None:
    """Eight threads that append the same batch under one key get one answer, and one batch is written."""
    sign_up(store, "u-1")
    answers = at_once(lambda _: insist(store.append, "u-1", [TOLD, AGREED], idempotency_key="k-1"))
    (first,) = [answer for answer in answers if not answer.is_repeat]
    assert all(answer == repeat_of(first) for answer in answers if answer is not first)
    assert len(store.history("u-1")) == 3


@contextmanager
def smaller_loads(limit: int) -> Iterator[None]:
    """Let one load have at most *limit* bytes of records within the block."""
    with ExitStack() as until_later:
        for dialect in (sqlite_dialect.DIALECT, postgres_dialect.DIALECT):
            until_later.callback(object.__setattr__, dialect, "bounded", dialect.bounded)
            smaller = dialect.bounded.replace(str(MAX_LOAD_BYTES), str(limit))
            assert smaller != dialect.bounded
            object.__setattr__(dialect, "bounded", smaller)
        yield


def test_a_load_of_too_many_bytes_is_refused(store: Store) -> None:
    """Records that have together more bytes than one load may have are not loaded; fewer are, and so is one alone."""
    for user_id in "abc":
        store.append(user_id, [e.AccountOpened(), *(e.HoldPlaced(f"h-{n}", "debt", {"email"}) for n in range(20))])
    limit = 2 * len(wire.encode(store.load(["a"]).records[0])) + 10
    with smaller_loads(limit):
        assert [record.version for record in store.load(["a", "b"]).records] == [21, 21]
        with pytest.raises(TooLarge, match="ask for fewer users"):
            store.load(["a", "b", "c"])
        with pytest.raises(TooLarge, match="ask for fewer users"):
            store.load(["a", "nobody", "b", "c"])
    assert len(store.load(["a", "b", "c"]).records) == 3


def test_one_large_record_is_loaded_beside_small_ones(store: Store) -> None:
    """A record may have more than its share of what one load may have, as long as all have not more together."""
    sizes = {"a": 40, "b": 1, "c": 1}
    for user_id, holds in sizes.items():
        store.append(user_id, [e.AccountOpened(), *(e.HoldPlaced(f"h-{n}", "debt", {"email"}) for n in range(holds))])
    records = {user_id: wire.encode(store.load([user_id]).records[0]) for user_id in sizes}
    with smaller_loads(sum(map(len, records.values()))):
        assert [record.user_id for record in store.load(["a", "b", "c"]).records] == ["a", "b", "c"]
    with smaller_loads(sum(map(len, records.values())) - 1):
        assert len(store.load(["b", "c"]).records) == 2
        with pytest.raises(TooLarge, match="ask for fewer users"):
            store.load(["a", "b", "c"])

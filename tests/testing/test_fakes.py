"""The clocks and the store that can be broken do what the tests of others rely on."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from diijam_consent_sdk import NoticeText
from diijam_consent_sdk.errors import InvalidEvent, LedgerBroken, OutcomeUnknown, StoreUnavailable
from diijam_consent_sdk.events import AccountOpened
from diijam_consent_sdk.stores import MemoryStore
from diijam_consent_sdk.testing import Clock, FaultyStore, unreachable
from diijam_consent_sdk.testing.faulty import METHODS


def test_the_clocks_stand_still_until_they_tick_together() -> None:
    """Both clocks go on by what was ticked, and not otherwise."""
    clock = Clock()
    before = clock.wall(), clock.lease()
    assert (clock.wall(), clock.lease()) == before
    clock.tick(90.5)
    assert (clock.wall() - before[0]).total_seconds() == clock.lease() - before[1] == 90.5
    assert (clock.later(5) - clock.wall()).total_seconds() == 5


@pytest.mark.parametrize("seconds", [-1, float("nan")], ids=str)
def test_a_lease_clock_never_goes_back(seconds: float) -> None:
    """A negative tick, or one that is no number, is refused and moves nothing."""
    clock = Clock()
    before = clock.wall(), clock.lease()
    with pytest.raises(ValueError, match="time goes on"):
        clock.tick(seconds)
    assert (clock.wall(), clock.lease()) == before


@pytest.fixture
def store() -> Iterator[FaultyStore]:
    """A store in which u-1 has an account."""
    store = FaultyStore(MemoryStore())
    store.append("u-1", [AccountOpened()])
    store.calls.clear()
    yield store
    store.inner.close()


def test_what_is_called_is_counted(store: FaultyStore) -> None:
    """Every call is noted, and each load with its ids."""
    head = store.load(["u-1", "u-2"]).cursor
    store.history("u-1")
    store.changes(head, wait=0)
    store.open_requests()
    store.close()
    assert store.calls == ["load", "history", "changes", "open_requests", "close"]
    assert store.loaded == [("u-1", "u-2")]


def test_a_broken_store_does_nothing(store: FaultyStore) -> None:
    """`broken` is raised before the inner store is called, `broken_after` when it has done its work."""
    store.broken = unreachable()
    with pytest.raises(StoreUnavailable):
        store.append("u-2", [AccountOpened()])
    store.broken, store.broken_after = None, TimeoutError()
    with pytest.raises(TimeoutError):
        store.append("u-3", [AccountOpened()])
    store.broken_after = None
    assert [record.version for record in store.load(["u-2", "u-3"]).records] == [0, 1]


def test_offline_ends_with_its_block(store: FaultyStore) -> None:
    """A block without the store ends with what was before it, also if it raises."""
    with store.offline():
        with pytest.raises(StoreUnavailable), store.offline():
            store.history("u-1")
        with pytest.raises(StoreUnavailable):
            store.load(["u-1"])
    assert store.load(["u-1"]).records[0].version == 1


def test_a_call_can_be_held_up(store: FaultyStore) -> None:
    """A held method says when the inner store has answered, and answers itself only when it may."""
    store.hold["load"], store.before_answer["load"] = threading.Event(), threading.Event()
    answers: list[int] = []
    caller = threading.Thread(target=lambda: answers.append(store.load(["u-1"]).records[0].version))
    caller.start()
    assert store.before_answer["load"].wait(10)
    assert answers == []
    store.hold["load"].set()
    caller.join(10)
    assert answers == [1]


def test_a_load_can_lie(store: FaultyStore) -> None:
    """`alter` replaces fields of the standings that were loaded."""
    store.alter = {"users": ()}
    assert store.standings(["u-1"]).users == ()


@pytest.mark.parametrize("written", [True, False])
def test_a_write_can_fail(store: FaultyStore, written: bool) -> None:
    """`failing` raises for an append, which was written or not, and for nothing else; after its block all is well."""
    with store.failing(OutcomeUnknown("lost", "key"), written=written):
        with pytest.raises(OutcomeUnknown):
            store.append("u-2", [AccountOpened()])
        assert store.load(["u-2"]).records[0].version == int(written)
        with store.failing(InvalidEvent("no")), pytest.raises(InvalidEvent):
            store.append("u-3", [AccountOpened()])
        with pytest.raises(OutcomeUnknown):
            store.append("u-3", [AccountOpened()])
    assert store.append("u-4", [AccountOpened()]).version == 1


@pytest.mark.parametrize("method", METHODS)
def test_every_call_can_fail(store: FaultyStore, method: str) -> None:
    """An error that is not one of a write is raised by each method."""
    head = store.load([]).cursor
    arguments: dict[str, tuple[object, ...]] = {
        "load": (["u-1"],), "standings": (["u-1"],), "list_standings": (None,), "append_many": ([],),
        "append": ("u-2", [AccountOpened()]), "changes": (head,), "entries": (head,),
        "history": ("u-1",),
        "register_notice": (NoticeText("n-1", {"vi": "lời"}, ["surveys"]),), "notice": ("n-1",),
        **dict.fromkeys(("register_holder", "retire_holder", "erasures"), ("mailer",)),
    }  # fmt: skip
    options = {"wait": 0} if method in {"changes", "entries"} else {}
    with store.failing(LedgerBroken(1, "another hash")), pytest.raises(LedgerBroken):
        getattr(store, method)(*arguments.get(method, ()), **options)

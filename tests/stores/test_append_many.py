"""`append_many` on every kind of store, and over HTTP: many users' events in one transaction."""

from __future__ import annotations

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diijam_consent_sdk import events as e
from diijam_consent_sdk.errors import ConsentError, InvalidEvent, KeyReused, StoreUnavailable, VersionConflict
from diijam_consent_sdk.stores import Appended, MemoryStore, Store, Write
from diijam_consent_sdk.stores.protocol import WriteResult

from .contract import OPENED, TOLD, Home, head, repeat_of, sign_up


@pytest.fixture
def store(served_home: Home) -> Store:
    """A store on an empty ledger, of one's own or behind a consent service."""
    return served_home.open()


def positions(results: list[WriteResult]) -> list[int | type[Exception]]:
    """The position of each that was written, and the kind of error of each other."""
    return [result.cursor.position if isinstance(result, Appended) else type(result) for result in results]


def test_no_writes_give_no_results(store: Store) -> None:
    """Nothing is written, and nothing asked."""
    assert store.append_many([]) == []
    assert head(store).position == 0


def test_each_is_judged_after_those_before_it(store: Store) -> None:
    """A refused write leaves the others alone, and a repeat of one before it is a repeat."""
    first = sign_up(store, "u-1")
    results = store.append_many(
        [
            Write("u-1", [OPENED]),
            Write("u-1", [TOLD], expected_version=1, idempotency_key="k-1"),
            Write("u-1", [TOLD], expected_version=1, idempotency_key="k-1"),
            Write("u-1", [e.Restricted()], expected_version=1),
            Write("u-1", [OPENED], idempotency_key="k-1"),
            Write("u-2", [OPENED, TOLD]),
            Write("", [OPENED]),
            Write("u-3", []),
            Write("u-2", [e.Restricted()], expected_version=2),
        ]
    )
    written, conflict = results[1], results[3]
    assert isinstance(written, Appended)
    assert results[2] == repeat_of(written)
    assert isinstance(conflict, VersionConflict)
    assert (conflict.expected, conflict.actual) == (1, 2)
    assert positions(results) == [
        InvalidEvent, 2, 2, VersionConflict, KeyReused, 4, ValueError, ValueError, 5,
    ]  # fmt: skip
    assert head(store).position == 5
    assert list(store.changes(first.cursor, wait=0).user_ids.items()) == [("u-1", 2), ("u-2", 5)]


def test_many_again_are_repeats(store: Store) -> None:
    """The same call again writes nothing, and gives the results of the first time with `is_repeat`."""
    writes = [Write(f"u-{number % 5}", [e.Objected("surveys")], idempotency_key=f"k-{number}") for number in range(20)]
    first = store.append_many(writes)
    again = store.append_many(writes)
    assert again == [repeat_of(result) for result in first if isinstance(result, Appended)]
    assert head(store).position == 20


def test_an_erasure_among_many(store: Store) -> None:
    """A user is erased with what the same call wrote before it, and nothing of others is."""
    sign_up(store, "u-1", "u-2")
    results = store.append_many(
        [
            Write("u-1", [TOLD], idempotency_key="k-1"),
            Write("u-1", [e.AccountClosed(), e.Erased()], idempotency_key="k-2"),
            Write("u-1", [TOLD], idempotency_key="k-1"),
            Write("u-2", [TOLD]),
        ]
    )
    assert positions(results) == [3, 5, InvalidEvent, 6]
    assert [entry.event for entry in store.history("u-1")] == [e.Erased()]
    assert len(store.history("u-2")) == 2


def test_provenance_is_each_writes_own(store: Store) -> None:
    """Each entry has that of its write."""
    said = [e.Provenance(method="call", evidence=f"call-{number}") for number in range(3)]
    store.append_many([Write(f"u-{number}", [e.Restricted()], provenance=said[number]) for number in range(3)])
    for number in range(3):
        (entry,) = store.history(f"u-{number}")
        assert attrs.evolve(entry.provenance, by=None) == said[number]


@pytest.mark.parametrize(
    ("writes", "error"),
    [
        ([Write("u-1", [OPENED])] * 1_001, ValueError),
        ([Write("u-1", [e.Restricted()] * 1_000)] * 11, ValueError),
        ([Write("u-1", [OPENED]), Write(7, [OPENED])], TypeError),  # type: ignore[arg-type]
        ([Write("u-1", [OPENED]), Write("u-1", ["opened"])], TypeError),  # type: ignore[list-item]
        ([("u-1", [OPENED])], TypeError),
    ],
    ids=["writes", "events", "id", "event", "no write"],
)
def test_too_many_and_wrong_types_write_nothing(writes: list[Write], error: type[Exception], store: Store) -> None:
    """What is wrong for all is raised, and nothing is written."""
    with pytest.raises(error):
        store.append_many(writes)
    assert head(store).position == 0


USERS = st.sampled_from(["u-1", "u-2"])
EVENTS = st.lists(
    st.sampled_from(
        [OPENED, TOLD, e.Agreed("n-1"), e.Restricted(), e.AccountClosed(), e.Erased(), e.Objected("surveys")]
    ),
    min_size=1, max_size=3,
)  # fmt: skip
WRITES = st.builds(
    Write, USERS, EVENTS,
    expected_version=st.none() | st.integers(0, 4), idempotency_key=st.none() | st.sampled_from(["k-1", "k-2"]),
)  # fmt: skip


@settings(max_examples=300)
@given(st.lists(st.lists(WRITES, max_size=6), max_size=3))
def test_many_together_are_as_one_by_one(calls: list[list[Write]]) -> None:
    """Whatever the writes, their results and the ledger are those of single appends in the same order."""
    together, singly = MemoryStore(), MemoryStore()
    try:
        for writes in calls:
            found = together.append_many(writes)
            expected = [_append(singly, write) for write in writes]
            for result, other in zip(found, expected, strict=True):
                # A repeat is answered at last, when its entries may be erased.
                was_erased = isinstance(result, StoreUnavailable) and isinstance(other, Appended) and other.is_repeat
                assert was_erased or _summary(result) == _summary(other)
        for user_id in ("u-1", "u-2"):
            assert [entry.event for entry in together.history(user_id)] == [
                entry.event for entry in singly.history(user_id)
            ]
        assert together.verify().position == singly.verify().position
    finally:
        together.close()
        singly.close()


def _append(store: Store, write: Write) -> WriteResult:
    fields = attrs.asdict(write, recurse=False)
    try:
        return store.append(fields.pop("user_id"), fields.pop("events"), **fields)
    except (ConsentError, ValueError) as error:
        return error


def _summary(result: WriteResult) -> object:
    if isinstance(result, Appended):
        return result.cursor.position, result.version, result.is_repeat
    return type(result), str(result)

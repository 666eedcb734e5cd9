"""Batches: many users in order, and malformed ids among them."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from typing import Any

import pytest

from diijam_consent_sdk import ConsentClient, Market, Reason
from diijam_consent_sdk import events as e
from diijam_consent_sdk.client.batching import AHEAD
from diijam_consent_sdk.stores.protocol import Standings
from diijam_consent_sdk.testing import FaultyStore, LeaseClock
from tests.client.conftest import MAILED, SIGNED_UP, Face, MakeClient, eventually, reason


def test_users_come_in_order_in_batches_and_lazily(client: Face, store: FaultyStore) -> None:
    """4,500 ids make five loads, begun a few batches ahead of the iteration; an id given twice comes twice."""
    store.inner.append("u7", SIGNED_UP)
    ids = [f"u{number}" for number in range(4500)]
    users = client.users(iter([*ids, "u7"]))
    assert store.loaded == []
    first = next(users)
    assert (first.user_id, len(store.loaded)) == ("u0", 1)
    assert [next(users).user_id for _ in range(1000)][-1] == "u1000"
    assert eventually(lambda: len(store.loaded) == AHEAD)
    rest = list(users)
    assert [user.user_id for user in rest] == [*ids[1001:], "u7"]
    assert sorted(len(loaded) for loaded in store.loaded) == [500, 1000, 1000, 1000, 1000]
    assert reason(rest[-1]) is Reason.CONSENTED


def test_an_input_that_breaks_off_loses_nothing_read_before(client: Face, store: FaultyStore) -> None:
    """Users read before the ids' iterator raised, or before a malformed id's batch, are handed out first."""

    def breaking(last: str) -> Iterator[str]:
        yield from (f"u{number}" for number in range(2000))
        yield last
        raise OSError("the file is gone")

    handed: list[str] = []
    with pytest.raises(OSError, match="gone"):
        handed.extend(user.user_id for user in client.users(breaking("u-last")))
    users = client.users(breaking(""))
    assert [next(users).user_id for _ in range(2000)] == [f"u{number}" for number in range(2000)]
    with pytest.raises(ValueError, match="an id has"):
        next(users)


def test_a_mask_marks_who_may(client: Face, store: FaultyStore) -> None:
    """`permitted_mask` gives 1 or 0 for each id in order, also for an unknown one and one given twice."""
    store.inner.append("u1", SIGNED_UP)
    assert client.permitted_mask(["u0", "u1", "u2", "u1"], MAILED) == bytearray([0, 1, 0, 1])
    assert client.permitted_mask([], MAILED) == bytearray()
    with pytest.raises(TypeError, match="an ask is needed"):
        client.permitted_mask(["u1"], "email")  # type: ignore[arg-type]


def test_users_are_right_beyond_the_capacity(make_client: MakeClient, store: FaultyStore) -> None:
    """An audience larger than the cache is answered, not denied."""
    client = make_client(follow=False, capacity=3)
    for number in range(10):
        store.inner.append(f"u{number}", SIGNED_UP)
    ids = [f"u{number}" for number in range(10)]
    assert list(client.permitted(ids, MAILED)) == ids


def test_an_iteration_that_paused_asks_again(client: Face, store: FaultyStore, clock: LeaseClock) -> None:
    """`users` and `permitted` decide when they hand out a user, not when its batch was loaded."""
    for user_id in ("u", "v"):
        store.inner.append(user_id, SIGNED_UP)
    users, permitted = client.users(["u", "v"]), client.permitted(["u", "v"], MAILED)
    next(users), next(permitted)
    store.inner.append("v", [e.Withdrawn("marketing")])
    clock.tick(60)
    assert reason(next(users)) is Reason.WITHDRAWN
    assert list(permitted) == []


def test_a_malformed_audience_is_a_mistake(client: Face) -> None:
    """A bad id raises `ValueError` in its place; one id for many, and what is not an ask, raise `TypeError`."""
    with pytest.raises(ValueError, match="256 characters"):
        list(client.users(["u", ""]))
    with pytest.raises(TypeError):
        client.users("u-1")
    with pytest.raises(TypeError):
        list(client.permitted(["u"], "email"))  # type: ignore[arg-type]


def test_a_malformed_id_is_named_by_its_place(client: Face, store: FaultyStore) -> None:
    """`users`, `permitted` and masks raise with the place of a malformed id, leave the id out, or report its place."""
    for user_id in ("u1", "u2"):
        store.inner.append(user_id, SIGNED_UP)
    ids: list[Any] = ["u1", "secret\n", "u2", None]
    places: list[int] = []
    with pytest.raises(ValueError, match=r"the id at place 1 \(the first is 0\)") as raised:
        list(client.permitted(ids, MAILED))
    assert "secret" not in str(raised.value)
    with pytest.raises(TypeError, match=r"the id at place 0 .*: an id is a string, not NoneType"):
        list(client.users(ids[3:]))
    assert list(client.permitted(ids, MAILED, malformed="skip")) == ["u1", "u2"]
    assert [user.user_id for user in client.users(ids, malformed=places.append)] == ["u1", "u2"]
    assert client.permitted_mask(ids, MAILED, malformed=places.append) == bytearray([1, 0, 1, 0])
    assert places == [1, 3, 1, 3]
    with pytest.raises(ValueError, match="place 1 "):
        client.permitted_mask(ids, MAILED)


def test_places_go_on_over_batches(make_client: MakeClient) -> None:
    """The place counts over all ids, and users before a malformed id are handed out before it raises."""
    client = make_client(follow=False, capacity=3)
    ids = [*(f"u{number}" for number in range(7)), "", "u8"]
    users = client.users(ids)
    assert [next(users).user_id for _ in range(7)] == ids[:7]
    with pytest.raises(ValueError, match="place 7 "):
        next(users)


def test_what_malformed_may_be(client: Face) -> None:
    """Another word raises at once; what the callable raises is raised in the id's place."""

    def stop(place: int) -> None:
        raise KeyError(place)

    with pytest.raises(ValueError, match='"raise", "skip" or a callable'):
        client.users(["u"], malformed="ignore")  # type: ignore[arg-type]
    with pytest.raises(KeyError, match="1"):
        list(client.permitted(["u", ""], MAILED, malformed=stop))
    with pytest.raises(KeyError, match="1"):
        client.permitted_mask(["u", ""], MAILED, malformed=stop)


def test_an_outage_that_is_over_leaves_nobody_out(make_client: MakeClient, store: FaultyStore) -> None:
    """Batches that were started during an outage are loaded when their turn comes."""
    ids = [f"u{number}" for number in range(50)]
    for user_id in ids:
        store.inner.append(user_id, SIGNED_UP)
    found = make_client(follow=False, capacity=30).permitted(ids, Market("email"))  # in batches of 10
    first = [next(found) for _ in range(20)]
    assert eventually(lambda: store.calls.count("standings") == 3)
    with store.offline():
        first.append(next(found))  # of the third batch, which was read before; the next two are read now
        assert eventually(lambda: store.calls.count("standings") == 5)
        time.sleep(0.1)
    assert [*first, *found] == ids


def test_a_batch_whose_leases_ended_before_its_turn(
    store: FaultyStore, clock: LeaseClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rule 4: users whose leases ended since the batch was started are loaded, and once more if that was too slow."""
    store.append("u", SIGNED_UP)
    lateness: list[float] = []
    load = store.inner.standings

    def slowly(user_ids: Iterable[str]) -> Standings:
        clock.tick(lateness.pop() if lateness else 0)
        return load(user_ids)

    with ConsentClient(store, follow=False, clock=clock) as consent:
        monkeypatch.setattr(store.inner, "standings", slowly)
        consent.user("u")
        batch = next(consent._engine.batches(["u"]))
        clock.tick(100)
        lateness.append(100)
        (user,) = consent._runner.run(consent._engine.users(batch))
        assert user.can_market("email")
        assert store.calls.count("standings") == 3


def test_an_id_that_cannot_be_hashed_raises_in_its_turn(make_client: MakeClient) -> None:
    """An id that no dictionary takes, such as a list, raises in its turn: users before it are handed out."""
    found = make_client(capacity=3).users(["a", "b", ["c"]])  # type: ignore[list-item]
    assert [next(found).user_id, next(found).user_id] == ["a", "b"]
    with pytest.raises(TypeError):
        next(found)

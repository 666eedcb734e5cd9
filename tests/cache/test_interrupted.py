"""Wherever a signal handler interrupts a write to the cache, no yes is left behind, and the cache goes on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import partial
from threading import Thread

import pytest

from diijam_consent_sdk import Reason
from diijam_consent_sdk.cache import compiled, history
from diijam_consent_sdk.cache.entries import NOBODY
from diijam_consent_sdk.cache.in_flight import Fetch
from diijam_consent_sdk.cache.pending_writes import Write
from diijam_consent_sdk.cache.user import UserConsent
from diijam_consent_sdk.decisions import Share, decide
from diijam_consent_sdk.stores import Cursor
from tests.cache.interruption import everywhere
from tests.cache.world import AT, B, World, answers_of, consenting, fast_answers, head, reason, standings, withdrawn


def interrupted(
    happens: Callable[[World], object], before: Callable[[World], object] = lambda _: None, *, capacity: int = 100
) -> Iterator[tuple[World, list[UserConsent]]]:
    """
    A world in which that was interrupted, at each place in turn, and the users who were in memory: both may be mailed
    and are covered, one of them for a while.
    """
    worlds: list[tuple[World, list[UserConsent]]] = []

    def begin() -> Callable[[], object]:
        world = World(capacity=capacity)
        users = list(world.load(ENDING, consenting("w")).values())
        world.cover(*users)
        world.poll(head(10))
        before(world)
        worlds[:] = [(world, users)]
        return lambda: happens(world)

    for _ in everywhere(begin):
        yield worlds[0]


ENDING = consenting(expires_at=AT + timedelta(seconds=1000))


def written(world: World) -> None:
    """A write, refused by the store."""
    world.leases.finish_write(world.begin_write("u"), None, world.clock.now)


def covered_again(world: World) -> None:
    """Loaded again, and asked in one step since."""
    world.cover(*world.load(ENDING).values())


@pytest.mark.parametrize(
    ("happens", "epoch"),
    [
        (written, "one"),
        (covered_again, "one"),
        (lambda world: world.poll(head(11), {"u": 11}), "one"),
        (lambda world: world.poll(head(12)), "one"),
        (lambda world: world.load(withdrawn(), at=head(11)), "one"),
        (lambda world: world.load(consenting(), at=head(11)), "one"),
        (lambda world: world.load(consenting("v"), at=head(12, "two")), "two"),
        (lambda world: world.poll(head(12, "two")), "two"),
    ],
    ids=[
        "written",
        "covered again",
        "changed",
        "unchanged",
        "loaded changed",
        "loaded ahead",
        "another load",
        "another poll",
    ],
)
def test_what_is_interrupted_still_learns_of_a_no(happens: Callable[[World], object], epoch: str) -> None:
    """Rules 3, 6, 7 and 8: wherever it was interrupted, after the next word of the feed nothing old is left."""
    for world, users in interrupted(happens):
        for position in (20, 21):  # the first may begin another history
            world.clock.tick(B)
            world.poll(head(position, epoch), {"u": position, "w": position})
        assert {reason(user) for user in users} == {Reason.STALE}
        for user_id in "uw":
            assert fast_answers(world.leases, user_id) is None


@pytest.mark.parametrize("happens", [written, covered_again], ids=["written", "covered again"])
def test_whoever_is_covered_turns_wherever_it_was_interrupted(happens: Callable[[World], object]) -> None:
    """Rule 7: no user stays on the fast path past the end of its answers."""
    for world, _ in interrupted(happens):
        for _ in range(20):
            world.clock.tick(B)
            world.poll(head(10))
        assert fast_answers(world.leases, "u") is None


def test_an_older_state_does_not_come_back_wherever_a_write_was_interrupted() -> None:
    """Rule 4: who was dropped leaves behind as of when it was known."""

    def happens(world: World) -> None:
        """A write is about to be sent."""
        world.begin_write("v")

    slow: list[Fetch] = []

    def known(world: World) -> None:
        """Loaded, with an older load still under way."""
        slow[:] = [world.leases.begin_fetch(["v"], world.clock.now)]
        world.load(withdrawn("v"), at=head(15))

    for world, _ in interrupted(happens, known):
        old = standings(consenting("v"), at=head(12))
        assert not world.leases.finish_fetch(slow[0], old, world.clock.now)


@pytest.mark.parametrize("acknowledged", [head(11), head(3, "two"), None], ids=["here", "elsewhere", "refused"])
def test_an_older_yes_does_not_come_back_wherever_the_end_of_a_write_was_interrupted(
    acknowledged: Cursor | None,
) -> None:
    """Rule 8: until its end is noted, a user stays denied; the write that is repeated then ends the denial."""
    known: list[tuple[Write, Fetch]] = []

    def before(world: World) -> None:
        """A load is under way, then a write."""
        known[:] = [(world.begin_write("v"), world.leases.begin_fetch(["v"], world.clock.now))]

    for world, _ in interrupted(lambda w: w.leases.finish_write(known[0][0], acknowledged, w.clock.now), before):
        write, slow = known[0]
        loaded = world.leases.finish_fetch(slow, standings(consenting("v")), world.clock.now)
        assert not (acknowledged and loaded)
        world.leases.finish_write(write, acknowledged, world.clock.now)
        epoch = "one" if acknowledged is None else acknowledged.epoch
        for position in (20, 21):  # the first may begin another history
            world.poll(head(position, epoch), {"v": position})
        assert reason(world.load(withdrawn("v"), at=head(21, epoch))["v"]) is Reason.WITHDRAWN


def test_wherever_the_beginning_of_a_write_was_interrupted_it_is_begun_once() -> None:
    """Rule 8: begun again, it denies its user, and its one end ends the denial."""
    writes: list[Write] = []

    def before(_: World) -> None:
        """Another write."""
        writes[:] = [Write("v", takes_away=True)]

    for world, _ in interrupted(lambda world: world.leases.begin_write(writes[0]), before):
        world.leases.begin_write(writes[0])
        assert world.load(consenting("v")) == {}
        world.leases.finish_write(writes[0], None, world.clock.now)
        assert reason(world.load(consenting("v"))["v"]) is Reason.CONSENTED
        assert world.leases._writes.count(takes_away=True) == 0


def test_a_close_that_was_interrupted_can_be_made_good() -> None:
    """Rule 9: a client whose close was interrupted says no after a second one."""
    for world, users in interrupted(lambda world: world.leases.close()):
        if not world.leases.closed:
            world.leases.close()
        assert {reason(user) for user in users} == {Reason.UNAVAILABLE}
        assert len(world.leases.fast_path) == 0


def test_a_close_within_a_close_ends() -> None:
    """A handler that closes the client while its thread is closing it waits for nobody."""
    world = World()
    users = world.load(*map(consenting, "abc"))
    next(iter(users.values()))._generation.waiting = Closing(world)
    closing = Thread(target=world.leases.close, daemon=True)
    closing.start()
    closing.join(timeout=10)
    assert not closing.is_alive()
    assert NOBODY.answers() is compiled.ALL_STALE  # it stands for users of other clients too
    assert {reason(user) for user in users.values()} == {Reason.UNAVAILABLE}


class Closing(set[str]):
    """Has the client closed when a user dies."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self._closing: list[Callable[[], None]] = [world.leases.close]

    def discard(self, element: object) -> None:
        """Close it, once."""
        if self._closing:
            self._closing.pop()()


def test_an_eviction_leaves_nobody_behind_and_room_for_others_wherever_it_was_interrupted() -> None:
    """A user that left memory is stale, and later ones are answered, within the capacity."""
    for world, users in interrupted(lambda world: world.load(consenting("v")), capacity=2):
        assert len(world.leases.users) <= 2
        for user in users:
            assert user.user_id in world.leases.users or reason(user) is Reason.STALE
        for user_id in ("x", "y", "z"):
            assert reason(world.load(consenting(user_id))[user_id]) is Reason.CONSENTED
            assert len(world.leases.users) <= 2
        world.poll(head(20), dict.fromkeys("uvwxyz", 20))
        assert len(world.leases.users) == 0
        assert {reason(user) for user in users} == {Reason.STALE}


@pytest.mark.parametrize("happens", [written, lambda world: world.leases.close()], ids=["written", "closed"])
def test_memory_is_whole_wherever_a_removal_was_interrupted(happens: Callable[[World], object]) -> None:
    """A client with room for one user goes on to keep one, as long as it is open."""
    for world, _ in interrupted(happens, capacity=2):
        for user_id in ("x", "y", "z"):
            loaded = world.load(consenting(user_id))
            assert set(loaded) == (set() if world.leases.closed else {user_id})
        assert len(world.leases.users) == (0 if world.leases.closed else 2)


def test_the_feed_goes_on_wherever_it_was_interrupted_while_it_forgot_a_head(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rule 2: a cache of heads that an interruption left at odds with itself ends no poll, and no confirmation."""
    monkeypatch.setattr(history, "MAX_CONFIRMED", 2)
    monkeypatch.setattr(history, "MAX_UNCONFIRMED", 2)

    def full(world: World) -> None:
        """As many heads are confirmed, and as many are not, as are remembered."""
        world.poll(head(11), {"other": 11})
        for position in (13, 14):
            world.load(consenting("v"), at=head(position))

    def happens(world: World) -> None:
        """One more of each."""
        world.load(consenting("v"), at=head(15))
        world.poll(head(13), {"other": 13})

    for world, users in interrupted(happens, full):
        for position in (16, 17, 18):
            world.clock.tick(B / 2)
            loaded = world.load(consenting("v"), at=head(position))["v"]
            world.poll(head(position), {"other": position})
            assert world.leases.has_shown(head(position), loaded)
        assert {reason(user) for user in users} == {Reason.CONSENTED}
        assert len(world.leases._history._confirmed) <= 2
        assert len(world.leases._history._unconfirmed) <= 2


def test_answers_stay_right_wherever_remembering_one_was_interrupted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Asks that are remembered are as many as they may be, and decided as on the record."""
    monkeypatch.setattr(compiled, "MAX_REMEMBERED", 2)
    asks = [Share(f"r{number}", {"email"}, "payment") for number in range(4)]
    answers = compiled.ALL_STALE

    def begin() -> Callable[[], object]:
        """Two asks are remembered, and a third comes."""
        nonlocal answers
        answers = answers_of(consenting())
        for ask in asks[:2]:
            answers.decide(ask)
        return partial(answers.decide, asks[2])

    for _ in everywhere(begin):
        for ask in (*asks, *asks):
            assert answers.decide(ask) is decide(consenting(), ask, AT)
            assert len(answers._remembered) <= 2

"""A signal handler may raise anywhere: what it interrupts in the caller's thread leaves no yes behind, and no lock."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from linecache import getline
from pathlib import Path
from threading import Thread
from types import FrameType
from typing import Any

import pytest

import diijam_consent_sdk
from diijam_consent_sdk import ConsentClient, Market, Reason
from diijam_consent_sdk import events as e
from diijam_consent_sdk.cache.in_flight import Fetch
from diijam_consent_sdk.cache.user import UserConsent
from diijam_consent_sdk.client.limiter import MAX_CALLS
from diijam_consent_sdk.stores import Loaded, MemoryStore
from diijam_consent_sdk.testing import FaultyStore
from tests.client.conftest import SIGNED_UP, eventually
from tests.client.world import AT, B, World, consenting, fast_answers, head, reason, withdrawn

PACKAGE = str(Path(diijam_consent_sdk.__file__).parent)


class Interrupt(BaseException):
    """What the handler raises."""


@contextmanager
def interrupted_at(number: int) -> Iterator[list[int]]:
    """Have this thread interrupted before the line of that number that it runs of this library; which it came to."""
    lines = [0]

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        if not frame.f_code.co_filename.startswith(PACKAGE):
            return None
        # A `with` that ends shows its line once more, where no handler ever runs: between its block and its end.
        if event == "line" and not getline(frame.f_code.co_filename, frame.f_lineno).lstrip().startswith("with "):
            lines[0] += 1
            if lines[0] == number:
                raise Interrupt
        return trace

    before = sys.gettrace()
    gc.disable()  # else it may be the end of another test's client that is interrupted, which Python only reports
    sys.settrace(trace)
    try:
        yield lines
    except Interrupt:
        pass
    finally:
        sys.settrace(before)
        gc.enable()


def everywhere(begin: Callable[[], Callable[[], object]]) -> Iterator[None]:
    """Do it again and again in a new world, interrupted one line later each time, until it comes to its end."""
    for number in range(1, 10_000):
        act = begin()
        with interrupted_at(number) as lines:
            act()
        if lines[0] < number:
            assert number > 3
            return
        yield
    raise AssertionError("it has no end")


def interrupted(
    happens: Callable[[World], object], before: Callable[[World], object] = lambda _: None
) -> Iterator[tuple[World, list[UserConsent]]]:
    """
    A world in which that was interrupted, at each place in turn, and the users who were in memory: both may be mailed
    and are covered, one of them for a while.
    """
    worlds: list[tuple[World, list[UserConsent]]] = []

    def begin() -> Callable[[], object]:
        world = World()
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
    world.leases.finish_write(world.leases.begin_write("u"), None, world.clock.now)


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
    """Rule 7: nobody stays covered of whom it was forgotten that it turns."""
    for world, _ in interrupted(happens):
        for _ in range(20):
            world.clock.tick(B)
            world.poll(head(10))
        assert fast_answers(world.leases, "u") is None


def test_an_older_state_does_not_come_back_wherever_a_write_was_interrupted() -> None:
    """Rule 4: who was dropped leaves behind as of when it was known."""

    def happens(world: World) -> None:
        """A write is about to be sent."""
        world.leases.begin_write("v")

    slow: list[Fetch] = []

    def known(world: World) -> None:
        """Loaded, with an older load still under way."""
        slow[:] = [world.leases.begin_fetch(["v"], world.clock.now)]
        world.load(withdrawn("v"), at=head(15))

    for world, _ in interrupted(happens, known):
        old = Loaded(head(12), AT, (consenting("v"),))
        assert not world.leases.finish_fetch(slow[0], old, world.clock.now)


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


def test_interrupted_misses_lose_no_load(store: FaultyStore) -> None:
    """Wherever a guard was interrupted while its user was to be fetched, that user and others can be fetched later."""
    client = ConsentClient(store)
    asked = 0

    def begin() -> Callable[[], object]:
        """A guard on a user who is not in memory."""
        nonlocal asked
        asked += 1
        user_id = f"u{asked}"
        return lambda: client.can_market(user_id, "email")

    with client:
        for _ in everywhere(begin):
            for user_id in (f"u{asked}", f"v{asked}"):
                assert eventually(lambda: client.can_market(user_id, "email").reason is Reason.UNKNOWN_USER)  # noqa: B023
        single_flight = client._own_engine._single_flight
        assert eventually(lambda: not single_flight._in_flight and not single_flight._by_user)


@pytest.mark.parametrize("call", ["load", "explain", "user with a token"])
def test_interrupted_reads_lose_no_permit(store: FaultyStore, call: str) -> None:
    """Rule 11: wherever reads were interrupted, as many as before can be under way."""
    store.append("u", SIGNED_UP)
    client = ConsentClient(store)

    def begin() -> Callable[[], object]:
        """A call, after a write of another process."""
        token = store.append("u", [e.Objected("surveys")]).token
        calls: dict[str, Callable[[], object]] = {
            "load": lambda: client.load("u"),
            "explain": lambda: client.explain("u", Market("email")),
            "user with a token": lambda: client.user("u", at_least=token),
        }
        return calls[call]

    with client:
        for _ in everywhere(begin):
            assert client.load("u").version
        assert eventually(lambda: client._own_engine._calls._limiter._free == MAX_CALLS)
        assert not client.can_market("v", "email")
        assert eventually(lambda: client.status().feed == "up")


class Opened(MemoryStore):
    """Knows whether it was closed."""

    is_closed = False

    def close(self) -> None:
        """See `Store.close`."""
        self.is_closed = True


def test_a_close_that_was_interrupted_lets_go_of_the_store_when_done_again() -> None:
    """What `from_url` opened is closed, and guards say no."""
    store = Opened()
    client = ConsentClient(store)

    def begin() -> Callable[[], object]:
        """A client that was asked, and owns its store."""
        nonlocal store, client
        store = Opened()
        client = ConsentClient(store)
        client._owns_store = True
        client.can_market("u", "email")
        return client.close

    for _ in everywhere(begin):
        client.close()
        assert store.is_closed
        assert client.can_market("u", "email").reason is Reason.UNAVAILABLE


def test_an_interrupted_call_leaves_the_client_as_good_as_before(store: FaultyStore) -> None:
    """Rule 8: whether its write was sent or not, the user answers what the store says, and can be written again."""
    store.append("u", SIGNED_UP)
    client = ConsentClient(store)

    def begin() -> Callable[[], object]:
        """A guard and a write."""

        def act() -> None:
            client.can_market("u", "email")
            client.record("u", e.Objected("surveys"))

        return act

    with client, ThreadPoolExecutor() as pool:
        for _ in everywhere(begin):
            assert pool.submit(client.can_market, "v", "email").result(timeout=10).reason is Reason.UNKNOWN_USER
            assert eventually(lambda: client.can_market("u", "email").reason is Reason.CONSENTED)
        assert client.record("u", e.Withdrawn("marketing"))
        assert client.can_market("u", "email").reason is Reason.WITHDRAWN

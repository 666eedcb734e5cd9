"""Masks: at the instant one is handed out, each 1 in it is what a guard would say (docs/protocol.md, "Masks")."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from datetime import timedelta
from random import Random
from typing import Any

import attrs
import pytest

from diijam_consent_sdk import Market
from diijam_consent_sdk import events as e
from diijam_consent_sdk.client.effects import Effects
from diijam_consent_sdk.client.mask_confirmation import MaskConfirmation
from diijam_consent_sdk.client.masks import Mask
from diijam_consent_sdk.errors import ClientClosed, OutcomeUnknown, StoreUnavailable
from diijam_consent_sdk.stores import Appended, Changes, Cursor, Loaded
from diijam_consent_sdk.stores.protocol import Standings
from diijam_consent_sdk.testing import FaultyStore, LeaseClock, WallClock, unreachable
from tests.cache.world import World, consenting, head
from tests.client.conftest import AsyncFace, Face, MakeClient, eventually
from tests.simulator.ledger import Ledger
from tests.simulator.loop import Loop

MAILED = Market("email")
SIGNED_UP = (e.AccountOpened(), e.Granted("marketing", notice="promo", channels={"email"}))
WITHDRAWN = (e.Withdrawn("marketing"),)
B = 60.0


class Restorable:
    """
    A store whose history can be replaced by an older copy and written on. `before` runs ahead of a method's answer,
    with the number of the call; `alter` changes the answer.
    """

    def __init__(self) -> None:
        self.ledger = Ledger(Loop(), Random(7), reach=1.0, page=1000)
        self.before: dict[str, Callable[[int], None]] = {}
        self.alter: dict[str, Callable[[object], object]] = {}
        self.feeds = threading.Event()
        self.feeds.set()
        self.calls: list[str] = []
        self.loaded: list[list[str]] = []
        self.walked: list[Cursor] = []

    def _enter(self, method: str) -> None:
        self.calls.append(method)
        if method in self.before:
            self.before[method](self.calls.count(method))

    def write(self, user_id: str, *events: e.Event) -> Cursor:
        """Append, as another process."""
        return self.ledger.append(
            user_id, events, None, f"key-{self.ledger.branch.number}-{len(self.ledger.branch.changed)}"
        ).cursor

    def load(self, user_ids: Iterable[str]) -> Loaded:
        """No mask rests on records."""
        raise NotImplementedError

    def standings(self, user_ids: Iterable[str]) -> Standings:
        """See `Store.standings`."""
        self.loaded.append(list(user_ids))
        self._enter("standings")
        loaded: Standings = self.ledger.standings(self.loaded[-1])
        return self.alter["standings"](loaded) if "standings" in self.alter else loaded  # type: ignore[return-value]

    def append(self, user_id: str, events: Iterable[e.Event], **options: object) -> Appended:
        """See `Store.append`."""
        self._enter("append")
        return self.ledger.append(user_id, tuple(events), None, str(options["idempotency_key"]))

    def changes(self, after: Cursor, *, wait: float, limit: int = 1000) -> Changes:
        """See `Store.changes`; a long poll is answered soon, and while `feeds` is cleared not at all."""
        if wait:
            time.sleep(0.01)
            self.feeds.wait(10)
        else:
            self.walked.append(after)
            self._enter("changes")
        answers: list[Changes] = []
        self.ledger.changes(after, 0.0, limit, answers.append)  # type: ignore[arg-type]
        return self.alter["changes"](answers[0]) if "changes" in self.alter else answers[0]  # type: ignore[return-value]

    def history(self, user_id: str) -> list[e.LedgerEntry]:
        """No test asks for one."""
        raise NotImplementedError

    def close(self) -> None:
        """Nothing is held."""


@pytest.fixture
def restorable() -> Restorable:
    """A store with three users who may be mailed."""
    store = Restorable()
    for user_id in ("u0", "u1", "u2"):
        store.write(user_id, *SIGNED_UP)
    return store


def partial_mask(client: Face, ids: Iterable[str]) -> bytearray:
    """Make a mask that marks users without an answer."""
    if isinstance(client, AsyncFace):
        return client._run(client.client._runner.run(client.client._engine.mask(ids, MAILED, partly=True)))
    return client._runner.run(client._engine.mask(ids, MAILED, partly=True))


def stalling(ids: Iterable[str], *meanwhile: Callable[[], object], after: int = 1) -> Iterator[str]:
    """Give the ids from a slow source, and run *meanwhile* after the first ones were taken."""
    for number, user_id in enumerate(ids):
        if number == after:
            for act in meanwhile:
                act()
        yield user_id


@pytest.fixture(params=[False, True], ids=["no feed", "feed"])
def client(request: pytest.FixtureRequest, make_client: MakeClient, clock: LeaseClock, store: FaultyStore) -> Face:
    """A client that answers one id at a time, with and without a feed, over three users who may be mailed."""
    for user_id in ("u0", "u1", "u2"):
        store.inner.append(user_id, SIGNED_UP)
    client = make_client(follow=request.param, clock=clock, capacity=3, deadline=2.0)
    client.user("u2")
    return client


@pytest.fixture
def unfed(make_client: MakeClient, clock: LeaseClock, restorable: Restorable) -> Face:
    """A client without a feed over `restorable`, which answers one id at a time."""
    return make_client(restorable, follow=False, clock=clock, capacity=3, deadline=2.0)


def test_nothing_changed(client: Face, store: FaultyStore) -> None:
    """A mask of users who did not change asks for each of them once."""
    assert client.permitted_mask(["u0", "nobody", "u2"], MAILED) == bytearray([1, 0, 1])
    assert sorted(store.loaded) == [("nobody",), ("u0",), ("u2",)]


@pytest.mark.parametrize("stall", [0.0, B + 1, 10 * B])
def test_a_withdrawal_while_the_source_stalls(
    client: Face, store: FaultyStore, clock: LeaseClock, stall: float
) -> None:
    """Users who said no while the source stalled have no 1, however many others have."""
    withdraw = lambda: store.inner.append("u0", WITHDRAWN)  # noqa: E731
    ids = stalling(["u0", "u1", "u0", "u2"], withdraw, lambda: clock.tick(stall))
    assert client.permitted_mask(ids, MAILED) == bytearray([0, 1, 0, 1])


def test_a_withdrawal_while_the_store_is_slow(unfed: Face, restorable: Restorable, clock: LeaseClock) -> None:
    """The same while a load takes its time."""

    def slow(number: int) -> None:
        if number == 2:
            restorable.write("u0", *WITHDRAWN)
            clock.tick(B / 2)

    restorable.before["standings"] = slow
    assert unfed.permitted_mask(["u0", "u1", "u2"], MAILED) == bytearray([0, 1, 1])


def test_a_withdrawal_that_a_later_page_names(unfed: Face, restorable: Restorable) -> None:
    """The walk goes on until the head, page by page."""
    restorable.ledger.page = 2

    def meanwhile() -> None:
        for number in range(7):
            restorable.write(f"other{number}", e.AccountOpened())
        restorable.write("u0", *WITHDRAWN)

    assert unfed.permitted_mask(stalling(["u0", "u1"], meanwhile), MAILED) == bytearray([0, 1])


def test_an_end_that_passes_while_the_mask_is_made(
    client: Face, store: FaultyStore, clock: LeaseClock, wall: WallClock
) -> None:
    """A yes with an end is asked again once that is over."""
    for user_id, seconds in (("short", 30), ("long", 300)):
        ends = wall.now + timedelta(seconds=seconds)
        store.inner.append(user_id, [e.AccountOpened(), e.Granted("marketing", "n", {"email"}, expires_at=ends)])

    def pass_by() -> None:
        wall.tick(31)
        clock.tick(31)

    ids = stalling(["short", "long", "u1"], pass_by, after=2)
    assert client.permitted_mask(ids, MAILED) == bytearray([0, 1, 1])


@pytest.mark.parametrize(("wanted", "mask"), [(["u1", "short"], [1, 0]), (["u1", None, "short", ""], [1, 0, 0, 0])])
def test_an_end_that_passes_during_the_last_load(
    unfed: Face, restorable: Restorable, clock: LeaseClock, wanted: list[Any], mask: list[int]
) -> None:
    """
    The end of a yes is looked at after everything else: what ended during the last load is asked once more. That holds
    also for those behind who was left out.
    """
    now = restorable.ledger.load([]).at
    ends = now + timedelta(seconds=30)
    restorable.write("short", e.AccountOpened(), e.Granted("marketing", "n", {"email"}, expires_at=ends))

    def slow(number: int) -> None:
        if number == 3:  # of u1, who is asked again
            clock.tick(31)
            restorable.ledger.wall._loop.now += 31

    def meanwhile() -> None:
        restorable.write("u1", *WITHDRAWN)
        restorable.write("u1", *SIGNED_UP[1:])

    restorable.before["standings"] = slow
    ids = stalling(wanted, meanwhile)
    assert unfed.permitted_mask(ids, MAILED, malformed="skip") == bytearray(mask)
    assert restorable.loaded == [["u1"], ["short"], ["u1"], ["short"]]


@pytest.mark.parametrize("follow", [False, True])
def test_a_restore_that_lost_the_oldest_answer(
    make_client: MakeClient, restorable: Restorable, clock: LeaseClock, *, follow: bool
) -> None:
    """Another history in between gives no mask."""
    client = make_client(restorable, follow=follow, clock=clock, capacity=3, deadline=2.0)

    def restore() -> None:
        restorable.ledger.restore(1, same_epoch=True)
        restorable.write("other", *SIGNED_UP)

    with pytest.raises(StoreUnavailable):
        client.permitted_mask(stalling(["u0", "u1"], restore), MAILED)


def test_a_restore_that_lost_a_later_answer(unfed: Face, restorable: Restorable) -> None:
    """A yes at a head that is not in the store's history is asked again, although the oldest one's is."""

    def lose() -> None:
        restorable.ledger.restore(1, same_epoch=True)
        for number in range(3):
            restorable.write(f"other{number}", e.AccountOpened())

    restorable.write("u1", *WITHDRAWN)
    ids = stalling(stalling(["u0", "u1", "u2"], lambda: restorable.write("u1", *SIGNED_UP[1:])), lose, after=2)
    assert unfed.permitted_mask(ids, MAILED) == bytearray([1, 0, 1])


def test_a_restore_that_the_feed_has_not_seen(
    make_client: MakeClient, restorable: Restorable, clock: LeaseClock
) -> None:
    """What the feed showed counts only as far as it is still in the store's history."""
    restorable.write("u1", *WITHDRAWN)
    client = make_client(restorable, follow=True, clock=clock, capacity=3, deadline=2.0)
    client.user("u2")

    def meanwhile(number: int) -> None:
        if number == 3:  # u0 rests on the feed's first head
            granted = restorable.write("u1", *SIGNED_UP[1:])
            assert eventually(lambda: client.status().position == granted.position)
        if number == 4:  # u1 rests on the second, which is lost now, and the feed hangs
            restorable.feeds.clear()
            restorable.ledger.restore(1, same_epoch=True)
            for other in range(3):
                restorable.write(f"other{other}", e.AccountOpened())

    restorable.before["standings"] = meanwhile
    assert client.permitted_mask(["u0", "u1", "u2", "nobody"], MAILED)[1] == 0
    restorable.feeds.set()


@pytest.mark.parametrize("follow", [False, True])
@pytest.mark.parametrize("how", ["under way", "unknown", "done"])
def test_who_is_written_here_has_no_1(
    make_client: MakeClient, restorable: Restorable, clock: LeaseClock, how: str, *, follow: bool
) -> None:
    """A user with a write of this process, under way, of unknown outcome or begun since, has 0, others have theirs."""
    client = make_client(restorable, follow=follow, clock=clock, capacity=3, deadline=2.0)
    may_answer = threading.Event()

    def append(_: int) -> None:
        if how == "under way":
            may_answer.wait(10)
        elif how == "unknown" and not may_answer.is_set():
            raise OutcomeUnknown("the answer was lost", "")

    restorable.before["append"] = append

    def record() -> None:
        with suppress(OutcomeUnknown):
            client.record("u0", e.Granted("marketing", notice="again", channels={"email"}))

    writing = threading.Thread(target=record)

    def write(number: int) -> None:
        if number == 2:
            writing.start()
            assert eventually(lambda: "append" in restorable.calls)
            if how == "done":
                writing.join(10)

    restorable.before["standings"] = write
    assert client.permitted_mask(["u0", "u1"], MAILED) == bytearray([0, 1])
    if how != "done":  # it was under way before this mask began
        assert client.permitted_mask(["u0", "u1"], MAILED) == bytearray([0, 1])
    may_answer.set()
    writing.join(10)
    assert eventually(lambda: client.permitted_mask(["u0", "u1"], MAILED) == bytearray([1, 1]))


def test_a_store_away_gives_no_mask(client: Face, store: FaultyStore) -> None:
    """In an outage a mask raises rather than deny everybody; users that are known to deny need no store."""
    with store.offline(), pytest.raises(StoreUnavailable, match="no mask"):
        client.permitted_mask(["u2", "u0"], MAILED)
    assert client.permitted_mask(["nobody"], MAILED) == bytearray([0])
    with store.offline():
        assert client.permitted_mask(["nobody"], MAILED) == bytearray([0])


def test_a_store_away_at_the_end_gives_no_mask(client: Face, store: FaultyStore) -> None:
    """What cannot be confirmed at the end is not handed out."""

    def leave() -> None:
        store.broken = unreachable()

    with pytest.raises(StoreUnavailable, match="out of reach"):
        client.permitted_mask(stalling(["u2", "u2"], leave), MAILED)
    store.broken = None
    assert client.permitted_mask(["u2"], MAILED) == bytearray([1])


def test_a_closed_client_gives_no_mask(unfed: Face, restorable: Restorable) -> None:
    """Neither when it was closed before, nor when it is closed meanwhile."""
    closing = threading.Thread(target=unfed.close)

    def close(number: int) -> None:
        if number == 2:
            closing.start()
            closing.join(10)

    restorable.before["standings"] = close
    for _ in range(2):
        with pytest.raises(ClientClosed):
            unfed.permitted_mask(["u0", "u1"], MAILED)


@pytest.mark.parametrize("what", ["changes", "standings"])
@pytest.mark.parametrize("always", [False, True])
def test_a_walk_too_late_is_made_once_more(
    unfed: Face, restorable: Restorable, clock: LeaseClock, what: str, *, always: bool
) -> None:
    """What took longer than a lease is confirmed once more, and then there is no mask."""
    first = 4 if what == "standings" else 1

    def slow(number: int) -> None:
        if number == first or (always and number > first):
            clock.tick(B)

    def meanwhile() -> None:
        restorable.write("u1", *WITHDRAWN)
        restorable.write("u1", *SIGNED_UP[1:])

    restorable.before[what] = slow
    ids = stalling(["u1", "u2", "u0"], meanwhile, after=2)
    if always and what == "changes":
        with pytest.raises(StoreUnavailable, match="in time"):
            unfed.permitted_mask(ids, MAILED)
    elif always:
        with pytest.raises(StoreUnavailable):
            unfed.permitted_mask(ids, MAILED)
    else:
        assert unfed.permitted_mask(ids, MAILED) == bytearray([1, 1, 1])
        assert [after.position for after in restorable.walked] == [6, 8]


def test_a_walk_that_never_comes_to_the_head(unfed: Face, restorable: Restorable, clock: LeaseClock) -> None:
    """A ledger that grows faster than it is read gives no mask."""
    restorable.ledger.page = 1

    def grow(_: int) -> None:
        clock.tick(B / 10)
        for number in range(3):
            restorable.write(f"other{number}-{len(restorable.calls)}", e.AccountOpened())

    restorable.before["changes"] = grow
    with pytest.raises(StoreUnavailable, match="in time"):
        unfed.permitted_mask(["u0"], MAILED)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda c: attrs.evolve(c, after=c.cursor, user_ids={}),
        lambda c: attrs.evolve(c, user_ids={"u9": c.cursor.position + 1}),
        lambda c: attrs.evolve(c, user_ids={"u9": c.after.position}),
        lambda c: attrs.evolve(c, complete=False, cursor=c.after),
        lambda c: attrs.evolve(c, cursor=attrs.evolve(c.cursor, epoch="other")),
    ],
    ids=["another question", "past its end", "before its start", "no step", "another epoch"],
)
def test_changes_that_contradict_themselves(
    unfed: Face, restorable: Restorable, wrong: Callable[[Changes], Changes]
) -> None:
    """An answer that cannot be right confirms nothing."""
    restorable.alter["changes"] = wrong  # type: ignore[assignment]
    unfed.user("u0")
    restorable.write("u0", *WITHDRAWN)
    with pytest.raises(StoreUnavailable):
        unfed.permitted_mask(["u0"], MAILED)


def test_a_second_load_behind_the_walk(unfed: Face, restorable: Restorable) -> None:
    """Users asked again are answered at the walk's head or past it, so a load that lags gives no mask."""
    old: list[Standings] = []

    def lag(loaded: object) -> object:
        assert isinstance(loaded, Standings)
        old.append(loaded)
        return attrs.evolve(old[0], users=loaded.users, at=loaded.at)

    restorable.alter["standings"] = lag

    def meanwhile() -> None:
        restorable.write("u0", *WITHDRAWN)
        restorable.write("u0", *SIGNED_UP[1:])

    with pytest.raises(StoreUnavailable):
        unfed.permitted_mask(stalling(["u0", "u1"], meanwhile), MAILED)


def test_only_who_may_have_changed_is_asked_again(unfed: Face, restorable: Restorable) -> None:
    """The end of a mask loads users that the changes name, and confirms the heads of the others without a load."""

    def meanwhile() -> None:
        restorable.write("u0", *WITHDRAWN)
        restorable.write("other", e.AccountOpened())

    assert unfed.permitted_mask(stalling(["u0", "u1", "u2"], meanwhile), MAILED) == bytearray([0, 1, 1])
    assert sorted(restorable.loaded[:3]) == [["u0"], ["u1"], ["u2"]]
    assert restorable.loaded[3:] == [["u0"]]


def test_a_walk_that_lags(unfed: Face, restorable: Restorable) -> None:
    """Users loaded past the walk's head are asked again, since the walk did not cover that time."""

    def lag(changes: object) -> object:
        assert isinstance(changes, Changes)
        if changes.after.position == 6:
            return attrs.evolve(changes, cursor=changes.after, user_ids={})
        return changes

    def meanwhile() -> None:
        restorable.write("u1", *WITHDRAWN)
        restorable.write("u1", *SIGNED_UP[1:])

    def withdraw(number: int) -> None:
        if number == 1:
            restorable.write("u1", *WITHDRAWN)

    restorable.alter["changes"] = lag
    restorable.before["changes"] = withdraw
    assert unfed.permitted_mask(stalling(["u0", "u1"], meanwhile), MAILED) == bytearray([1, 0])


def test_the_clock_is_read_last(unfed: Face, clock: LeaseClock, monkeypatch: pytest.MonkeyPatch) -> None:
    """Time that goes by in the last look at the answers counts."""
    deny = Mask.deny

    def slow(mask: Mask, written: set[str]) -> None:
        deny(mask, written)
        clock.tick(B)

    monkeypatch.setattr(Mask, "deny", slow)
    with pytest.raises(StoreUnavailable, match="in time"):
        unfed.permitted_mask(["u0"], MAILED)


def test_nothing_is_left_to_do_after_the_clock_was_read(unfed: Face, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where ids were left out, the mask that was confirmed is the one that is handed out."""
    confirm, confirmed = MaskConfirmation.confirm, list[bytes]()

    def confirm_and_note(confirmation: MaskConfirmation, *, partly: bool) -> Effects[bytearray]:
        answers = yield from confirm(confirmation, partly=partly)
        confirmed.append(bytes(answers))
        return answers

    monkeypatch.setattr(MaskConfirmation, "confirm", confirm_and_note)
    ids: list[Any] = [None, "u0", "u1", "", "u2", None, None]
    mask = unfed.permitted_mask(ids, MAILED, malformed="skip")
    assert [bytes(mask)] == confirmed == [bytes([0, 1, 1, 0, 1, 0, 0])]


def test_who_waits_for_the_feed_rests_on_the_head_of_the_load() -> None:
    """A user loaded further than the feed had come by then rests on that head, also if the feed covers it by now."""
    world = World()
    mask = Mask(MAILED, lambda _: None)
    users = world.load(consenting("covered"), at=head(10))
    users |= world.load(consenting("passed by"), at=head(11))
    world.poll(head(12), {"x": 12})
    generation, applied = world.leases.feed()
    world.poll(head(13), {"x": 13})
    users |= world.load(consenting("later"), at=head(13))
    mask.add(users.values(), generation, applied)
    assert [basis.newest for basis in mask.bases().values()] == [head(12), head(11), head(13)]


def test_a_late_second_load_without_a_walk(
    unfed: Face, restorable: Restorable, clock: LeaseClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where no yes was known before the end, the time of those that are counts from when their load was sent."""
    deny = Mask.deny

    def slow(mask: Mask, written: set[str]) -> None:
        deny(mask, written)
        if not restorable.walked:
            restorable.write("u0", *WITHDRAWN)
            clock.tick(B)

    is_away = [True]

    def fail(_: int) -> None:
        if is_away:
            raise unreachable()

    restorable.before["standings"] = fail

    def source() -> Iterator[str]:
        yield "u0"
        is_away.clear()

    monkeypatch.setattr(Mask, "deny", slow)
    assert partial_mask(unfed, source()) == bytearray([0])

"""What a client promises, on both faces, over a store that can be broken."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
import structlog

from diijam_consent_sdk import ConsentClient, Market, Process, Reason, Show, UserConsent
from diijam_consent_sdk import events as e
from diijam_consent_sdk.client.batching import AHEAD
from diijam_consent_sdk.client.single_flight import SharedLoad
from diijam_consent_sdk.errors import (
    ClientClosed,
    InvalidEvent,
    OutcomeUnknown,
    StoreUnavailable,
    StoreUnusable,
    VersionConflict,
)
from diijam_consent_sdk.record import unopened
from diijam_consent_sdk.stores import Cursor, Loaded, MemoryStore
from diijam_consent_sdk.testing import FaultyStore, LeaseClock, WallClock, unreachable
from tests.client.conftest import AsyncFace, Face, MakeClient

MAILED = Market("email")
SIGNED_UP = (e.AccountOpened(), e.Granted("marketing", notice="promo", channels={"email"}))


def reason(user: UserConsent) -> Reason:
    """Why this user may or may not be mailed."""
    return user.decide(MAILED).reason


def eventually(holds: Callable[[], bool], within: float = 5.0) -> bool:
    """Whether it comes to hold in time."""
    until = time.monotonic() + within
    while not holds():
        if time.monotonic() > until:
            return False
        time.sleep(0.005)
    return True


@pytest.fixture
def client(make_client: MakeClient, clock: LeaseClock) -> Face:
    """A client that follows no feed, on a clock that stands still."""
    return make_client(follow=False, clock=clock, deadline=0.5)


def test_a_hit_asks_the_store_nothing(client: Face, store: FaultyStore) -> None:
    """A user is loaded once, then answered from memory: an unknown one too."""
    store.inner.append("u", SIGNED_UP)
    for _ in range(3):
        assert reason(client.user("u")) is Reason.CONSENTED
        assert reason(client.user("nobody")) is Reason.UNKNOWN_USER
    assert store.loaded == [("u",), ("nobody",)]


def test_the_lease_of_a_user_runs_out(client: Face, store: FaultyStore, clock: LeaseClock) -> None:
    """After max_staleness a held user says `STALE`, and the client fetches it again."""
    store.inner.append("u", SIGNED_UP)
    user = client.user("u")
    store.inner.append("u", [e.Withdrawn("marketing")])
    assert reason(user) is Reason.CONSENTED
    clock.tick(60)
    assert reason(user) is Reason.STALE
    assert reason(client.user("u")) is Reason.WITHDRAWN


def test_nothing_trustworthy_is_a_quick_no(client: Face, store: FaultyStore) -> None:
    """With the store out of reach a guard says `UNAVAILABLE` and never raises; when it is back, so is the answer."""
    store.inner.append("u", SIGNED_UP)
    store.broken = unreachable()
    assert reason(client.user("u")) is Reason.UNAVAILABLE
    assert client.user("u").version == 0
    store.broken = None
    assert reason(client.user("u")) is Reason.CONSENTED


@pytest.mark.parametrize(
    "error", [StoreUnusable("damaged"), OSError("boom"), KeyError("x"), TimeoutError()], ids=lambda e: type(e).__name__
)
def test_whatever_a_store_raises_is_a_no(client: Face, store: FaultyStore, error: Exception) -> None:
    """A guard's user never raises for what a store does."""
    store.broken = error
    assert reason(client.user("u")) is Reason.UNAVAILABLE


def test_a_store_that_hangs_is_a_no_within_the_deadline(client: Face, store: FaultyStore) -> None:
    """A miss is answered within its deadline; the answer that comes later is kept if it still may be."""
    store.inner.append("u", SIGNED_UP)
    store.hold["load"] = threading.Event()
    began = time.monotonic()
    assert reason(client.user("u")) is Reason.UNAVAILABLE
    assert 0.4 < time.monotonic() - began < 0.8
    store.hold["load"].set()
    assert eventually(lambda: reason(client.user("u")) is Reason.CONSENTED)


def test_concurrent_misses_share_one_fetch(client: Face, store: FaultyStore) -> None:
    """Twenty threads that miss one user at once make one load."""
    store.inner.append("u", SIGNED_UP)
    store.hold["load"] = threading.Event()
    with ThreadPoolExecutor(20) as pool:
        users = [pool.submit(client.user, "u") for _ in range(20)]
        assert eventually(lambda: store.loaded == [("u",)])
        time.sleep(0.05)
        store.hold["load"].set()
        assert {reason(user.result()) for user in users} == {Reason.CONSENTED}
    assert store.loaded == [("u",)]


def test_fetches_at_once_are_capped_and_those_that_wait_leave_together(
    make_client: MakeClient, store: FaultyStore
) -> None:
    """Forty misses at once make at most eight loads under way; the rest is loaded in one."""
    client = make_client(follow=False, deadline=5)
    store.hold["load"] = threading.Event()
    with ThreadPoolExecutor(40) as pool:
        users = [pool.submit(client.user, f"u{number}") for number in range(40)]
        assert eventually(lambda: len(store.loaded) == 8)
        time.sleep(0.2)
        assert len(store.loaded) == 8
        store.hold["load"].set()
        assert {reason(user.result()) for user in users} == {Reason.UNKNOWN_USER}
    assert len(store.loaded) == 9
    assert len(store.loaded[-1]) == 32


def test_a_record_of_another_user_is_refused(client: Face, store: FaultyStore) -> None:
    """I5: an answer for a user comes only from a record of that user; two tries, then no."""
    store.inner.append("v", SIGNED_UP)
    store.alter = {"records": store.inner.load(["v"]).records}
    assert reason(client.user("u")) is Reason.UNAVAILABLE
    assert len(store.loaded) == 2


def test_an_answer_that_is_no_answer_is_refused(client: Face, store: FaultyStore) -> None:
    """Garbage instead of records denies and leaves the client whole."""
    store.alter = {"records": (None,)}
    assert reason(client.user("u")) is Reason.UNAVAILABLE
    store.alter = {}
    assert reason(client.user("u")) is Reason.UNKNOWN_USER


def test_a_slow_load_never_puts_the_old_yes_back(make_client: MakeClient, store: FaultyStore) -> None:
    """I4: a load sent before this process's withdrawal and answered after it is discarded."""
    client = make_client(follow=False, deadline=5)
    store.inner.append("u", SIGNED_UP)
    store.hold["load"], store.before_answer["load"] = threading.Event(), threading.Event()
    with ThreadPoolExecutor(1) as pool:
        user = pool.submit(client.user, "u")
        assert store.before_answer["load"].wait(5)
        client.record("u", e.Withdrawn("marketing"))
        store.hold["load"].set()
        assert reason(user.result()) is Reason.WITHDRAWN


def test_a_write_is_seen_by_the_next_ask(client: Face) -> None:
    """After `record` returned, this process answers by it, and a held user of before is dead."""
    client.record("u", *SIGNED_UP)
    user = client.user("u")
    assert reason(user) is Reason.CONSENTED
    appended = client.record("u", e.Withdrawn("marketing", channels={"email"}))
    assert reason(user) is Reason.STALE
    assert reason(client.user("u")) is Reason.WITHDRAWN
    assert appended.record.version == client.user("u").version == 3


def test_a_refused_write_changes_nothing(client: Face) -> None:
    """What the policy or the version refuses is raised, and the user can be asked again."""
    client.record("u", *SIGNED_UP)
    with pytest.raises(InvalidEvent, match="event 1 of 1, AccountOpened, is refused: the account is open already"):
        client.record("u", e.AccountOpened())
    with pytest.raises(VersionConflict) as conflict:
        client.record("u", e.AccountClosed(), expected_version=7)
    assert (conflict.value.expected, conflict.value.actual) == (7, 2)
    with pytest.raises(ValueError, match="no events"):
        client.record("u")
    with pytest.raises(TypeError):
        client.record("u", "AccountClosed")  # type: ignore[arg-type]
    assert reason(client.user("u")) is Reason.CONSENTED


def test_a_write_can_be_repeated_with_its_key(client: Face) -> None:
    """The same key gives the same answer; with other events it is a mistake."""
    first = client.record("u", *SIGNED_UP, idempotency_key="k")
    assert client.record("u", *SIGNED_UP, idempotency_key="k") == first
    with pytest.raises(ValueError, match="idempotency_key"):
        client.record("u", e.AccountClosed(), idempotency_key="k")


def test_a_store_out_of_reach_refuses_a_write(client: Face, store: FaultyStore) -> None:
    """`StoreUnavailable` means that nothing was written; the user is not denied for it."""
    client.record("u", *SIGNED_UP)
    store.broken = unreachable()
    with pytest.raises(StoreUnavailable):
        client.record("u", e.AccountClosed())
    store.broken = None
    assert reason(client.user("u")) is Reason.CONSENTED


def test_while_the_outcome_of_a_write_is_unknown_the_user_is_denied(client: Face, store: FaultyStore) -> None:
    """A write that takes longer than the deadline raises `OutcomeUnknown`; it goes on, and then counts."""
    client.record("u", *SIGNED_UP)
    store.hold["append"] = threading.Event()
    with pytest.raises(OutcomeUnknown) as unknown:
        client.record("u", e.Granted("surveys", notice="s"), idempotency_key="key-1")
    assert unknown.value.idempotency_key == "key-1"
    assert reason(client.user("u")) is Reason.UNAVAILABLE
    store.hold["append"].set()
    assert eventually(lambda: bool(client.user("u").can_process("surveys")))


def test_a_write_of_unknown_outcome_is_repeated_until_it_is_definite(client: Face, store: FaultyStore) -> None:
    """An answer that got lost is asked for again with the same key: written once, and the user back."""
    store.broken_after = ConnectionResetError()
    with pytest.raises(OutcomeUnknown):
        client.record("u", *SIGNED_UP)
    store.broken_after = unreachable()  # once unknown, only the store's own word ends it
    time.sleep(0.1)
    assert reason(client.user("u")) is Reason.UNAVAILABLE
    store.broken_after = None
    assert eventually(lambda: reason(client.user("u")) is Reason.CONSENTED)
    assert len(store.inner.history("u")) == 2
    assert store.calls.count("append") > 2


def test_an_interrupted_write_goes_on(store: FaultyStore) -> None:
    """Ctrl-C while `record` waits leaves the user denied until the store has answered."""
    client = ConsentClient(store, follow=False, deadline=5)
    store.hold["append"] = threading.Event()
    effects = client._engine.record("u", SIGNED_UP, None, None)
    next(effects)
    assert eventually(lambda: "append" in store.calls)
    with pytest.raises(KeyboardInterrupt):
        effects.throw(KeyboardInterrupt())
    assert reason(client.user("u")) is Reason.UNAVAILABLE
    store.hold["append"].set()
    assert eventually(lambda: reason(client.user("u")) is Reason.CONSENTED)
    client.close()


def test_a_token_carries_a_write_to_another_process(
    make_client: MakeClient, store: FaultyStore, clock: LeaseClock
) -> None:
    """With `at_least` a client that cached the old yes answers by it; asked anew unless the feed has shown it."""
    here, there = (make_client(follow=False, clock=clock) for _ in range(2))
    here.record("u", *SIGNED_UP)
    assert reason(there.user("u")) is Reason.CONSENTED
    token = here.record("u", e.Withdrawn("marketing")).token
    assert reason(there.user("u")) is Reason.CONSENTED
    assert reason(there.user("u", at_least=token)) is Reason.WITHDRAWN
    following = make_client()
    assert reason(following.user("u", at_least=token)) is Reason.WITHDRAWN
    assert eventually(lambda: following.status().feed == "up")
    loads = len(store.loaded)
    assert reason(following.user("u", at_least=token)) is Reason.WITHDRAWN
    assert len(store.loaded) == loads


def test_a_token_of_another_history_is_a_no(client: Face, store: FaultyStore) -> None:
    """A token that the store's history does not have, or cannot be asked about, denies; a malformed one raises."""
    token = client.record("u", *SIGNED_UP).token
    other = MemoryStore().append("u", SIGNED_UP).token
    forked = str(Cursor(Cursor.parse(token).epoch, 2, "00"))
    assert reason(client.user("u", at_least=other)) is Reason.UNAVAILABLE
    assert reason(client.user("u", at_least=forked)) is Reason.UNAVAILABLE
    store.broken = unreachable()
    assert reason(client.user("u", at_least=token)) is Reason.UNAVAILABLE
    for malformed in ("", "x", "a.b.c", "a.1", "a.-1.c"):
        with pytest.raises(ValueError, match="malformed token"):
            client.user("u", at_least=malformed)
    with pytest.raises(TypeError):
        client.user("u", at_least=3)  # type: ignore[arg-type]


def test_the_follower_sees_what_another_process_wrote(make_client: MakeClient, store: FaultyStore) -> None:
    """With the feed followed, a change of another process reaches a cached user at once."""
    client = make_client()
    store.inner.append("u", SIGNED_UP)
    user = client.user("u")
    assert reason(user) is Reason.CONSENTED
    store.inner.append("u", [e.Withdrawn("marketing")])
    assert eventually(lambda: reason(user) is Reason.STALE, within=1)
    assert reason(client.user("u")) is Reason.WITHDRAWN


def test_the_follower_keeps_everybody_fresh(make_client: MakeClient, store: FaultyStore, clock: LeaseClock) -> None:
    """Once the feed was heard, users that did not change live on past their own lease without a load."""
    client = make_client(clock=clock, max_staleness=1)
    store.inner.append("u", SIGNED_UP)
    user = client.user("u")
    for _ in range(4):
        clock.tick(0.5)
        polls = store.calls.count("changes")
        assert eventually(lambda polls=polls: store.calls.count("changes") > polls + 1)  # type: ignore[misc]
        assert reason(user) is Reason.CONSENTED
    assert store.loaded == [("u",)]


def test_the_follower_comes_back_after_the_store_does(make_client: MakeClient, store: FaultyStore) -> None:
    """A feed that broke is taken up again, and a change meanwhile is not lost."""
    client = make_client(max_staleness=1)
    store.inner.append("u", SIGNED_UP)
    user = client.user("u")
    store.broken = unreachable()
    assert eventually(lambda: reason(user) is Reason.STALE, within=3)
    assert reason(client.user("u")) is Reason.UNAVAILABLE
    store.inner.append("u", [e.Withdrawn("marketing")])
    store.broken = None
    assert eventually(lambda: reason(client.user("u")) is Reason.WITHDRAWN)


def test_the_follower_finds_the_first_head_by_itself(make_client: MakeClient, store: FaultyStore) -> None:
    """A client whose first question failed still comes to follow the feed."""
    client = make_client(max_staleness=1)
    store.broken = unreachable()
    assert reason(client.user("u")) is Reason.UNAVAILABLE
    store.broken = None
    assert eventually(lambda: "changes" in store.calls)


def test_a_grant_that_ran_out_is_expired(
    make_client: MakeClient, store: FaultyStore, clock: LeaseClock, wall: WallClock
) -> None:
    """A held user says `STALE` at the expiry, `user()` fetches and says `EXPIRED`; with no store, `UNAVAILABLE`."""
    client = make_client(follow=False, clock=clock)
    ends = wall.now + timedelta(seconds=3)
    store.inner.append("u", [e.AccountOpened(), e.Granted("surveys", notice="n", expires_at=ends)])
    user = client.user("u")
    assert user.can_process("surveys")
    clock.tick(3)
    wall.tick(3)
    assert user.can_process("surveys").reason is Reason.STALE
    store.broken = unreachable()
    assert client.user("u").can_process("surveys").reason is Reason.UNAVAILABLE
    store.broken = None
    assert client.user("u").can_process("surveys").reason is Reason.EXPIRED


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
    """Whoever was read before the ids' iterator raised, or before a malformed id's batch, is handed out first."""

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
    """`permitted_mask` gives 1 or 0 for each id in order, an unknown one and one given twice too."""
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
    """`users` and `permitted` decide at the moment they hand out, not when the batch was loaded."""
    for user_id in ("u", "v"):
        store.inner.append(user_id, SIGNED_UP)
    users, permitted = client.users(["u", "v"]), client.permitted(["u", "v"], MAILED)
    next(users), next(permitted)
    store.inner.append("v", [e.Withdrawn("marketing")])
    clock.tick(60)
    assert reason(next(users)) is Reason.WITHDRAWN
    assert list(permitted) == []


def test_a_malformed_audience_is_a_mistake(client: Face) -> None:
    """A bad id raises `ValueError` where it stands, one id for many `TypeError`, and no ask `TypeError`."""
    with pytest.raises(ValueError, match="256 characters"):
        list(client.users(["u", ""]))
    with pytest.raises(TypeError):
        client.users("u-1")
    with pytest.raises(TypeError):
        list(client.permitted(["u"], "email"))  # type: ignore[arg-type]


def test_a_malformed_id_is_named_by_its_place(client: Face, store: FaultyStore) -> None:
    """`users`, `permitted` and masks raise with the place of a malformed id, leave it out, or tell its place."""
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
    """The place is that among all ids, and whoever stands before a malformed one is handed out before it raises."""
    client = make_client(follow=False, capacity=3)
    ids = [*(f"u{number}" for number in range(7)), "", "u8"]
    users = client.users(ids)
    assert [next(users).user_id for _ in range(7)] == ids[:7]
    with pytest.raises(ValueError, match="place 7 "):
        next(users)


def test_what_malformed_may_be(client: Face) -> None:
    """Another word is a mistake at once; what the callable raises is raised in its place."""

    def stop(place: int) -> None:
        raise KeyError(place)

    with pytest.raises(ValueError, match='"raise", "skip" or a callable'):
        client.users(["u"], malformed="ignore")  # type: ignore[arg-type]
    with pytest.raises(KeyError, match="1"):
        list(client.permitted(["u", ""], MAILED, malformed=stop))
    with pytest.raises(KeyError, match="1"):
        client.permitted_mask(["u", ""], MAILED, malformed=stop)


def test_explain_load_and_history_are_fresh(client: Face, store: FaultyStore) -> None:
    """They ask the store each time, and show the evidence."""
    client.record("u", *SIGNED_UP)
    assert reason(client.user("u")) is Reason.CONSENTED
    explained = client.explain("u", MAILED)
    assert explained.decision.allowed
    assert explained.evidence == client.load("u").consents["marketing:email"]
    store.inner.append("u", [e.Withdrawn("marketing")])
    assert client.explain("u", MAILED).decision.reason is Reason.WITHDRAWN
    assert client.explain("u", MAILED).evidence is None
    assert [type(entry.event).__name__ for entry in client.history("u")] == ["AccountOpened", "Granted", "Withdrawn"]
    assert client.load("nobody") == unopened("nobody")
    with pytest.raises(TypeError):
        client.explain("u", "email")  # type: ignore[arg-type]


def test_explain_load_and_history_raise_what_the_store_does(client: Face, store: FaultyStore) -> None:
    """They are no guards: out of reach, late or wrong is an error, within the deadline."""
    store.broken = unreachable()
    for ask in (lambda: client.load("u"), lambda: client.history("u"), lambda: client.explain("u", Show("avatar"))):
        with pytest.raises(StoreUnavailable):
            ask()
    store.broken = None
    store.alter = {"records": (unopened("v"),)}
    with pytest.raises(StoreUnusable):
        client.load("u")
    store.hold["load"] = threading.Event()
    with pytest.raises(StoreUnavailable, match=r"within 0\.5 s"):
        client.load("u")


def test_a_closed_client_denies_and_refuses(client: Face, store: FaultyStore) -> None:
    """After `close` guards say `UNAVAILABLE`, everything else raises, and closing again does nothing."""
    store.inner.append("u", SIGNED_UP)
    user = client.user("u")
    client.close()
    client.close()
    assert reason(user) is Reason.UNAVAILABLE
    assert reason(client.user("u")) is Reason.UNAVAILABLE
    assert list(client.permitted(["u"], MAILED)) == []
    for ask in (
        lambda: client.load("u"),
        lambda: client.history("u"),
        lambda: client.explain("u", MAILED),
        lambda: client.record("u", e.AccountClosed()),
    ):
        with pytest.raises(ClientClosed):
            ask()
    assert "close" not in store.calls


def test_a_closed_client_asks_nothing(client: Face, store: FaultyStore) -> None:
    """A token changes nothing about it: the answer is a no at once, from memory."""
    token = client.record("u", *SIGNED_UP).token
    client.close()
    asked = len(store.calls)
    assert reason(client.user("u", at_least=token)) is Reason.UNAVAILABLE
    assert len(store.calls) == asked


def test_close_waits_one_deadline_for_a_write_of_unknown_outcome(client: Face, store: FaultyStore) -> None:
    """A write under way may end before the client does; one that does not is left and said so."""
    store.hold["append"] = threading.Event()
    with pytest.raises(OutcomeUnknown):
        client.record("u", *SIGNED_UP)
    began = time.monotonic()
    client.close()
    assert 0.4 < time.monotonic() - began < 1.0
    store.hold["append"].set()


def test_guards_of_data_read_it_once(client: Face, store: FaultyStore) -> None:
    """Fields given by an iterator count in full: a restriction is never missed because a first look used them up."""
    store.inner.append("u", [e.AccountOpened(), e.Restricted({"phone"})])
    user = client.user("u")
    assert user.can_process("fraud_detection", (field for field in ["phone"])).reason is Reason.RESTRICTED
    assert user.decide(Process("fraud_detection", iter(["email"]))).allowed


def test_status_tells_how_the_client_is_doing(make_client: MakeClient, store: FaultyStore) -> None:
    """Hits, misses, denials, the feed and its age, ready or not: at first, in health, in an outage and at the end."""
    client = make_client(max_staleness=1)
    status = client.status()
    assert (status.ready, status.feed, status.hits, status.misses, status.position) == (False, "off", 0, 0, None)
    store.inner.append("u", SIGNED_UP)
    for _ in range(3):
        client.user("u").can_market("email")
    client.user("u").can_market("call")
    assert eventually(lambda: client.status().feed == "up")
    status = client.status()
    assert (status.hits, status.misses, status.users, status.position) == (3, 1, 1, 2)
    assert status.denials == {Reason.NOT_CONSENTED: 1}
    assert status.ready
    assert status.age_seconds is not None
    assert status.age_seconds < 1
    assert status.feed_since is not None
    store.broken = unreachable()
    assert eventually(lambda: client.status().feed == "down")
    assert not client.status().ready
    client.close()
    assert (client.status().ready, client.status().feed) == (False, "off")


def test_a_client_whose_store_was_never_there_is_not_ready(make_client: MakeClient, store: FaultyStore) -> None:
    """Neither before its first question nor after it; the first that goes well makes it ready."""
    store.broken = unreachable()
    client = make_client()
    assert not client.status().ready
    assert client.user("u").can_market("email").reason is Reason.UNAVAILABLE
    assert not client.status().ready
    store.broken = None
    assert client.user("u").can_market("email").reason is Reason.UNKNOWN_USER
    assert client.status().ready


def test_status_and_the_log_tell_why_the_store_is_away(make_client: MakeClient, store: FaultyStore) -> None:
    """`last_error` has the words of our own errors in one short line, of foreign ones the class alone; then None."""
    client = make_client(follow=False)
    assert client.status().last_error is None
    cause = ("away [2J " + "x" * 500)[:500]
    with structlog.testing.capture_logs() as lines:
        store.broken = StoreUnavailable("away\x1b[2J\n" + "x" * 9_000)
        client.user("u")
        assert eventually(lambda: client.status().last_error == cause)
        assert [line["cause"] for line in lines if line["event"] == "store.unreachable"] == [cause]
    store.broken = RuntimeError("no such customer: nguyen-van-a")
    client.user("u")
    assert eventually(lambda: client.status().last_error == "RuntimeError")
    store.broken = None
    client.user("u")
    assert client.status().last_error is None


def test_an_answer_asked_again_is_no_denial(store: FaultyStore, clock: LeaseClock) -> None:
    """A guard in one step that found the lease run out and fetched anew has told nobody no."""
    with ConsentClient(store, follow=False, clock=clock) as consent:
        consent.record("u", *SIGNED_UP)
        for _ in range(2):
            assert consent.can_market("u", "email")
            clock.tick(60)
        assert not any(consent.status().denials.values())


class _Everything:
    """Equals whatever it is compared with."""

    def __eq__(self, other: object) -> bool:
        return True

    __hash__ = None  # type: ignore[assignment]


def test_what_only_claims_to_be_no_data_is_a_mistake(client: Face, store: FaultyStore) -> None:
    """The short way of `can_market` is for no data alone, not for what says that it equals it."""
    store.inner.append("u", SIGNED_UP)
    with pytest.raises(TypeError, match="a set of Field"):
        client.user("u").can_market("email", data=_Everything())  # type: ignore[arg-type]


def test_a_view_of_what_is_no_mapping_is_a_mistake(client: Face) -> None:
    """`public_view` of a list names what it takes."""
    with pytest.raises(TypeError, match="takes a mapping"):
        client.user("u").public_view(["avatar"])  # type: ignore[arg-type]


class Caseless(str):
    """An id as some frameworks have it: equal to, and hashed as, another string than its own."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, str) and self.lower() == other.lower()

    def __hash__(self) -> int:
        return hash(self.lower())


def test_an_id_of_another_type_of_string_is_its_characters(client: Face, store: FaultyStore) -> None:
    """Whatever a subclass of `str` equals, a write denies the user it names, and so does a change under a load."""
    client.record("U", *SIGNED_UP)
    user = client.user("U")
    assert reason(user) is Reason.CONSENTED
    store.hold["append"] = threading.Event()
    with pytest.raises(OutcomeUnknown):
        client.record(Caseless("U"), e.Withdrawn("marketing"))
    assert reason(user) is Reason.STALE
    assert reason(client.user("U")) is Reason.UNAVAILABLE
    store.hold["append"].set()
    assert eventually(lambda: reason(client.user("U")) is Reason.WITHDRAWN)
    engine = client.client._own_engine if isinstance(client, AsyncFace) else client._own_engine
    asked: list[str] = []

    def join(user_ids: Iterable[str]) -> list[SharedLoad]:
        asked.extend(user_ids)
        return []

    engine._single_flight.join = join  # type: ignore[method-assign]
    client.user(Caseless("V"))
    list(client.users([Caseless("W")]))
    assert {type(user_id) for user_id in asked} == {str}


def test_an_outage_that_is_over_leaves_nobody_out(make_client: MakeClient, store: FaultyStore) -> None:
    """Batches that were read ahead while the store was out of reach are loaded when their turn comes."""
    ids = [f"u{number}" for number in range(50)]
    for user_id in ids:
        store.inner.append(user_id, SIGNED_UP)
    found = make_client(follow=False, capacity=30).permitted(ids, Market("email"))  # in batches of 10
    first = [next(found) for _ in range(20)]
    assert eventually(lambda: store.calls.count("load") == 3)
    with store.offline():
        first.append(next(found))  # of the third batch, which was read before; the next two are read now
        assert eventually(lambda: store.calls.count("load") == 5)
        time.sleep(0.1)
    assert [*first, *found] == ids


def test_a_batch_whose_leases_ended_before_its_turn(
    store: FaultyStore, clock: LeaseClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rule 4: whoever was in memory when read, and is not any more, is fetched, and once more if that was too slow."""
    store.append("u", SIGNED_UP)
    lateness: list[float] = []
    load = store.inner.load

    def slowly(user_ids: Iterable[str]) -> Loaded:
        clock.tick(lateness.pop() if lateness else 0)
        return load(user_ids)

    with ConsentClient(store, follow=False, clock=clock) as consent:
        monkeypatch.setattr(store.inner, "load", slowly)
        consent.user("u")
        batch = next(consent._engine.batches(["u"]))
        clock.tick(100)
        lateness.append(100)
        (user,) = consent._runner.run(consent._engine.users(batch))
        assert user.can_market("email")
        assert store.calls.count("load") == 3


def test_an_id_that_is_none_is_told_in_its_turn(make_client: MakeClient) -> None:
    """What no dictionary takes, such as a list, is told when it is its turn: those before are handed out."""
    found = make_client(capacity=3).users(["a", "b", ["c"]])  # type: ignore[list-item]
    assert [next(found).user_id, next(found).user_id] == ["a", "b"]
    with pytest.raises(TypeError):
        next(found)


def test_a_deadline_of_centuries_is_one(store: FaultyStore) -> None:
    """What no clock of the system can wait for is waited for as long as one can be."""
    with ConsentClient(store, deadline=1e15, max_staleness=1e15) as consent:
        consent.record("u", *SIGNED_UP)
        assert consent.can_market("u", "email")
        assert eventually(lambda: store.calls.count("changes") == 2)
        time.sleep(0.1)
        assert consent.status().feed == "up"


class Ended(BaseException):
    """What nothing in the engine catches."""


def test_a_poller_that_ended_is_started_again(make_client: MakeClient, store: FaultyStore) -> None:
    """Whatever ends it, such as an application that cancels all tasks, the next exchange starts another."""
    client = make_client()
    engine = client.client._own_engine if isinstance(client, AsyncFace) else client._own_engine
    store.hold["changes"] = threading.Event()
    client.user("u")
    assert eventually(lambda: "changes" in store.calls)
    store.broken_after = Ended()  # type: ignore[assignment]
    store.hold.pop("changes").set()
    assert eventually(lambda: engine._poller._worker is None)
    assert client.status().feed == "down"
    store.broken_after = None
    client.user("v")
    assert eventually(lambda: client.status().feed == "up")


def interrupted(*_: object) -> None:
    """Ctrl-C."""
    raise KeyboardInterrupt


def test_the_store_is_let_go_of_although_close_was_interrupted(store: FaultyStore) -> None:
    """Ctrl-C while `close` waits for a write does not leave the store open."""
    client = ConsentClient(store, follow=False, deadline=5)
    client._owns_store = True

    store.hold["append"] = threading.Event()
    client._own_engine._writes.begin("u", SIGNED_UP, None, "k")
    assert eventually(lambda: bool(client._own_engine._writes))
    client._runner._perform = interrupted  # type: ignore[method-assign, assignment]
    with pytest.raises(KeyboardInterrupt):
        client.close()
    store.hold["append"].set()
    assert "close" in store.calls

"""Writes: a user is denied until the outcome is definite, and answers by the write afterwards."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext, suppress
from functools import partial
from typing import Any, cast

import attrs
import pytest

from diijam_consent_sdk import ConsentClient, Reason, Share
from diijam_consent_sdk import events as e
from diijam_consent_sdk._threads import Lost, Promise
from diijam_consent_sdk.cache.leases import Leases
from diijam_consent_sdk.client.effects import Append, Sleep
from diijam_consent_sdk.client.write_order import PendingWrite, waits_for
from diijam_consent_sdk.client.writes import MAX_BACKOFF_SECONDS, Writes
from diijam_consent_sdk.errors import (
    InvalidEvent,
    KeyReused,
    NotEntitled,
    OutcomeUnknown,
    StoreUnavailable,
    VersionConflict,
)
from diijam_consent_sdk.stores import Appended, MemoryStore
from diijam_consent_sdk.testing import FaultyStore, LeaseClock, WallClock, unreachable
from tests.client.conftest import MAILED, SIGNED_UP, Face, MakeClient, eventually, reason


def test_a_slow_load_never_puts_the_old_yes_back(make_client: MakeClient, store: FaultyStore) -> None:
    """I4: a load sent before this process's withdrawal and answered after it is discarded."""
    client = make_client(follow=False, deadline=5)
    store.inner.append("u", SIGNED_UP)
    store.hold["standings"], store.before_answer["standings"] = threading.Event(), threading.Event()
    with ThreadPoolExecutor(1) as pool:
        user = pool.submit(client.user, "u")
        assert store.before_answer["standings"].wait(5)
        client.record("u", e.Withdrawn("marketing"))
        store.hold["standings"].set()
        assert reason(user.result()) is Reason.WITHDRAWN


def test_a_write_that_never_began_denies_once_its_caller_gave_up(store: FaultyStore) -> None:
    """`OutcomeUnknown` says that the user is denied, so that holds also where no thread took the write up in time."""
    store.inner.append("u", SIGNED_UP)
    with ConsentClient(store, deadline=0.1) as client:
        assert client.can_market("u", "email")
        never = Promise[None]()
        spawn = client._own_engine._writes._spawn
        client._own_engine._writes._spawn = cast(Any, lambda _: never)
        with pytest.raises(OutcomeUnknown):
            client.record("u", e.Withdrawn("marketing"))
        assert not client.can_market("u", "email")
        client._own_engine._writes._spawn = spawn
        never.set_exception(Lost("it did not begin"))
        assert eventually(lambda: client.user("u").decide(MAILED).reason is Reason.WITHDRAWN)


def test_a_write_is_seen_by_the_next_ask(client: Face) -> None:
    """After `record` returned, this process answers by the write, and a user held from before denies."""
    client.record("u", *SIGNED_UP)
    user = client.user("u")
    assert reason(user) is Reason.CONSENTED
    appended = client.record("u", e.Withdrawn("marketing", channels={"email"}))
    assert reason(user) is Reason.STALE
    assert reason(client.user("u")) is Reason.WITHDRAWN
    assert appended.version == client.user("u").version == 3


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
    """The same key gives the same answer; with other events it raises `KeyReused`, unless they only take away."""
    first = client.record("u", *SIGNED_UP, idempotency_key="k")
    assert client.record("u", *SIGNED_UP, idempotency_key="k") == attrs.evolve(first, is_repeat=True)
    with pytest.raises(KeyReused, match="idempotency_key"):
        client.record("u", e.Published("avatar"), idempotency_key="k")
    assert not client.record("u", e.Withdrawn("marketing"), idempotency_key="k").is_repeat
    assert reason(client.user("u")) is Reason.WITHDRAWN


class WritesAlone(MemoryStore):
    """A store whose appends are answered as to a token that may not read records."""

    def append(self, *arguments: Any, **options: Any) -> Appended:
        """See `Store.append`."""
        return attrs.evolve(super().append(*arguments, **options), record=None)


def test_a_write_is_acknowledged_without_its_record(make_client: MakeClient) -> None:
    """A token may write and not read: the answer has no record, and the user is answered from a load as ever."""
    client = make_client(WritesAlone())
    client.record("u", *SIGNED_UP)
    appended = client.record("u", e.Withdrawn("marketing"))
    assert (appended.record, appended.version, appended.is_repeat) == (None, 3, False)
    assert reason(client.user("u")) is Reason.WITHDRAWN


def test_a_store_out_of_reach_refuses_a_write(client: Face, store: FaultyStore) -> None:
    """`StoreUnavailable` means that nothing was written, so the user is not denied for it."""
    client.record("u", *SIGNED_UP)
    store.broken = unreachable()
    with pytest.raises(StoreUnavailable):
        client.record("u", e.AccountClosed())
    store.broken = None
    assert reason(client.user("u")) is Reason.CONSENTED


def test_while_the_outcome_of_a_write_is_unknown_the_user_is_denied(client: Face, store: FaultyStore) -> None:
    """A write that takes longer than the deadline raises `OutcomeUnknown`; it goes on, and counts once it is done."""
    client.record("u", *SIGNED_UP)
    store.hold["append"] = threading.Event()
    with pytest.raises(OutcomeUnknown) as unknown:
        client.record("u", e.Granted("surveys", notice="s"), idempotency_key="key-1")
    assert unknown.value.idempotency_key == "key-1"
    assert reason(client.user("u")) is Reason.UNAVAILABLE
    store.hold["append"].set()
    assert eventually(lambda: bool(client.user("u").can_process("surveys")))


def test_a_write_of_unknown_outcome_is_repeated_until_it_is_definite(client: Face, store: FaultyStore) -> None:
    """A write whose answer got lost is repeated with its key: it is written once, and the user answers again."""
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


GRANTED = e.Granted("marketing", notice="promo", channels={"email"})
WITHDRAWN = e.Withdrawn("marketing")
FORBIDDEN = NotEntitled("the token lacks the scope write:consents", ("write:consents",))


def test_a_refusal_for_the_token_is_definite_if_nothing_was_sent(client: Face, store: FaultyStore) -> None:
    """The first try of a write is refused for the token: nothing was written, and the user is not denied for it."""
    client.record("u", *SIGNED_UP)
    with store.failing(FORBIDDEN), pytest.raises(NotEntitled, match="write:consents") as refused:
        client.record("u", e.Withdrawn("marketing"))
    assert refused.value.scopes == ("write:consents",)
    assert reason(client.user("u")) is Reason.CONSENTED


def test_a_yes_that_the_token_may_not_repeat_is_given_up(make_client: MakeClient, store: FaultyStore) -> None:
    """A yes whose answer got lost, then refused for the token, is repeated no more, and the user is fetched."""
    client = make_client(deadline=0.2)
    store.broken_after = ConnectionResetError()
    with pytest.raises(OutcomeUnknown):
        client.record("u", *SIGNED_UP)
    with store.failing(FORBIDDEN, only_appends=True):
        store.broken_after = None
        assert eventually(lambda: reason(client.user("u")) is Reason.CONSENTED)
    assert len(store.inner.history("u")) == 2


def test_a_no_that_the_token_may_not_repeat_keeps_the_user_denied(make_client: MakeClient, store: FaultyStore) -> None:
    """A batch with a no goes on being repeated while the token is refused, and the user stays denied until it is in."""
    client = make_client(deadline=0.2, max_staleness=1.0)
    client.record("u", *SIGNED_UP)
    store.broken_after = ConnectionResetError()
    with pytest.raises(OutcomeUnknown):
        client.record("u", e.Withdrawn("marketing"), e.Granted("surveys", notice="s"))
    with store.failing(FORBIDDEN, only_appends=True):
        store.broken_after = None
        before = store.calls.count("append")
        assert eventually(lambda: store.calls.count("append") > before)
        assert reason(client.user("u")) is Reason.UNAVAILABLE
    assert eventually(lambda: reason(client.user("u")) is Reason.WITHDRAWN)
    assert store.calls.count("append") > before + 1


class AppendsFail(FaultyStore):
    """Appends, or only those of yeses, raise *error*, at once or late, and may be written all the same."""

    error: Exception | None = None
    are_noes_written = False
    held: threading.Event | None = None  # what yeses wait for before they are written
    forbidden: type[e.Event] | None = None  # the token may not write it
    is_written = False
    seconds = 0.0

    def append(self, user_id: str, events: Iterable[e.Event], **options: Any) -> Appended:
        """See `Store.append`."""
        arguments, error = (user_id, events), self.error
        if self.held is not None and not e.takes_away(events):
            assert self.held.wait(10)
        if self.forbidden is not None and any(isinstance(event, self.forbidden) for event in events):
            error = FORBIDDEN
        if error is None or (self.are_noes_written and e.takes_away(events)):
            return super().append(*arguments, **options)
        self.calls.append("append")
        if self.is_written:
            self.inner.append(*arguments, **options)
        time.sleep(self.seconds)
        raise error


@pytest.fixture
def failing(wall: WallClock) -> AppendsFail:
    """A store that a customer signed up in."""
    store = AppendsFail(MemoryStore(clock=wall))
    store.inner.append("u", SIGNED_UP)
    return store


def test_a_no_that_another_service_does_not_understand_is_repeated(
    make_client: MakeClient, failing: AppendsFail
) -> None:
    """What may have been sent, and then reaches an older service that calls it malformed, is no lost no."""
    client = make_client(failing, deadline=0.2, max_staleness=1.0)
    failing.error = ConnectionResetError()
    with pytest.raises(OutcomeUnknown):
        client.record("u", WITHDRAWN)
    failing.error = ValueError("malformed")
    before = failing.calls.count("append")
    assert eventually(lambda: failing.calls.count("append") > before)
    assert reason(client.user("u")) is Reason.UNAVAILABLE
    failing.error = None
    assert eventually(lambda: reason(client.user("u")) is Reason.WITHDRAWN)


@pytest.mark.parametrize("is_no", [True, False], ids=["a no", "a yes"])
def test_a_no_whose_caller_left_before_the_store_was_found_away_is_written(
    make_client: MakeClient, failing: AppendsFail, *, is_no: bool
) -> None:
    """`OutcomeUnknown` promises that the client repeats the write; a yes that was not written is not worth that."""
    client = make_client(failing, deadline=0.2)
    failing.error, failing.seconds = unreachable(), 0.4  # as where a firewall drops packets
    with pytest.raises(OutcomeUnknown):
        client.record("u", WITHDRAWN if is_no else e.Granted("surveys", notice="s"))
    time.sleep(0.4)
    assert (reason(client.user("u")) is Reason.UNAVAILABLE) is is_no
    failing.error = None
    assert eventually(lambda: reason(client.user("u")) is (Reason.WITHDRAWN if is_no else Reason.CONSENTED), 10)
    assert len(failing.inner.history("u")) == (3 if is_no else 2)


@pytest.mark.parametrize("is_written", [True, False], ids=["written at first", "not written at first"])
def test_a_yes_that_is_repeated_is_not_written_after_a_later_no(
    make_client: MakeClient, failing: AppendsFail, *, is_written: bool
) -> None:
    """I4: of a yes whose outcome is unknown, then a no that is acknowledged, the no is the customer's last word."""
    client = make_client(failing, deadline=0.5)
    failing.error, failing.is_written = ConnectionResetError(), is_written
    with pytest.raises(OutcomeUnknown):
        client.record("u", e.Objected("surveys"), GRANTED, e.RequestFiled("r", "access"))
    failing.are_noes_written = True  # at first them alone, or the yes might be repeated before the no is said
    client.record("u", WITHDRAWN)
    failing.error = None
    assert eventually(lambda: reason(client.user("u")) is not Reason.UNAVAILABLE, 10)
    assert reason(client.user("u")) is Reason.WITHDRAWN
    events = [type(entry.event) for entry in failing.inner.history("u")][2:]
    said = [e.Objected, e.Granted, e.RequestFiled, e.Withdrawn]
    assert events == ([*said, e.Withdrawn] if is_written else [e.Withdrawn, e.Objected, e.RequestFiled, e.Withdrawn])


def test_a_yes_that_is_repeated_gives_way_to_a_no_of_another_thread(failing: AppendsFail) -> None:
    """I4: also while the caller of the yes still waits, who then learns that it does not hold."""
    failing.error, failing.are_noes_written = ConnectionResetError(), True
    with ConsentClient(failing, deadline=5) as client, ThreadPoolExecutor(1) as pool:
        yes = pool.submit(client.record, "u", GRANTED)
        assert eventually(lambda: failing.calls.count("append") > 1)
        client.record("u", WITHDRAWN)
        failing.error = None
        with pytest.raises(OutcomeUnknown, match="a no of the user that was said later holds"):
            yes.result(10)
        assert client.can_market("u", "email").reason is Reason.WITHDRAWN


@pytest.mark.parametrize("is_no_known", [True, False], ids=["a no acknowledged", "a no of unknown outcome"])
def test_a_no_is_said_again_after_a_yes_that_was_under_way(
    make_client: MakeClient, failing: AppendsFail, *, is_no_known: bool
) -> None:
    """I4: a try of the yes began before the no, and is written after it: the no is still the last word."""
    client = make_client(failing, deadline=0.3)
    failing.held = threading.Event()
    with pytest.raises(OutcomeUnknown):
        client.record("u", GRANTED)
    if not is_no_known:
        failing.error, failing.is_written = ConnectionResetError(), True
    with nullcontext() if is_no_known else pytest.raises(OutcomeUnknown):
        client.record("u", WITHDRAWN)
    failing.held.set()
    assert eventually(lambda: len(failing.inner.history("u")) > 3)
    failing.error = None
    assert eventually(lambda: reason(client.user("u")) is Reason.WITHDRAWN, 10)
    events = [type(entry.event) for entry in failing.inner.history("u")][2:]
    assert events == [e.Withdrawn, e.Granted, e.Withdrawn]


class Tried(FaultyStore):
    """A store whose appends are each carried out by the next of *tries*, which is given what writes it."""

    def __init__(self, inner: MemoryStore) -> None:
        super().__init__(inner)
        self.tries: list[Callable[[Callable[[], Appended]], Appended]] = []

    def append(self, user_id: str, events: Iterable[e.Event], **options: Any) -> Appended:
        """See `Store.append`."""
        self.calls.append("append")
        write = partial(self.inner.append, user_id, tuple(events), **options)
        return self.tries.pop(0)(write) if self.tries else write()


@pytest.fixture
def tried(wall: WallClock) -> Tried:
    """A store that a customer signed up in."""
    store = Tried(MemoryStore(clock=wall))
    store.inner.append("u", SIGNED_UP)
    return store


def fails(_: Callable[[], Appended]) -> Appended:
    """Write nothing, and say nothing."""
    raise ConnectionResetError


def is_lost(write: Callable[[], Appended]) -> Appended:
    """Write, and lose the answer."""
    write()
    raise ConnectionResetError


def test_a_yes_whose_first_try_fails_is_not_repeated_after_a_no_said_meanwhile(
    make_client: MakeClient, tried: Tried
) -> None:
    """I4: also if the yes had not failed yet when the no was acknowledged."""
    failed = threading.Event()

    def fails_late(write: Callable[[], Appended]) -> Appended:
        assert failed.wait(10)
        return fails(write)

    client = make_client(tried, deadline=0.5)
    tried.tries = [fails_late]
    with ThreadPoolExecutor(1) as pool:
        yes = pool.submit(client.record, "u", GRANTED)
        assert eventually(lambda: not tried.tries)
        client.record("u", WITHDRAWN)
        assert isinstance(yes.exception(10), OutcomeUnknown)
    failed.set()
    assert eventually(lambda: reason(client.user("u")) is not Reason.UNAVAILABLE, 10)
    assert reason(client.user("u")) is Reason.WITHDRAWN
    assert [type(entry.event) for entry in tried.inner.history("u")].count(e.Granted) == 1


def test_a_yes_that_expects_the_version_of_a_later_no_is_not_written_after_it(
    make_client: MakeClient, failing: AppendsFail
) -> None:
    """Its caller reckoned with a write before it, which was not written either."""
    client = make_client(failing, deadline=0.2)
    failing.error, failing.are_noes_written = ConnectionResetError(), True
    with pytest.raises(OutcomeUnknown):
        client.record("u", GRANTED, expected_version=3)
    assert client.record("u", WITHDRAWN).version == 3
    failing.error = None
    assert eventually(lambda: reason(client.user("u")) is Reason.WITHDRAWN, 10)
    assert GRANTED not in [entry.event for entry in failing.inner.history("u")][2:]


def test_a_no_is_said_again_whichever_of_two_yeses_is_answered_last(make_client: MakeClient, tried: Tried) -> None:
    """I4: a yes stands after the no, and one that stands before it is answered after that."""
    is_written, is_answered = threading.Event(), [threading.Event(), threading.Event()]

    def last(write: Callable[[], Appended]) -> Appended:
        assert is_written.wait(10)
        return write()

    def first(write: Callable[[], Appended]) -> Appended:
        appended = write()
        is_answered[0].set()
        assert is_answered[1].wait(10)
        return appended

    client = make_client(tried, deadline=0.2)
    tried.tries = [last, first, is_lost, *[fails] * 30]
    for event in (GRANTED, GRANTED, WITHDRAWN):
        with pytest.raises(OutcomeUnknown):
            client.record("u", event)
    is_written.set()
    assert eventually(lambda: len(tried.inner.history("u")) == 5)
    time.sleep(0.1)
    is_answered[1].set()
    time.sleep(0.1)
    tried.tries.clear()
    assert eventually(lambda: reason(client.user("u")) is Reason.WITHDRAWN, 10)
    events = [type(entry.event) for entry in tried.inner.history("u")][2:]
    assert events == [e.Granted, e.Withdrawn, e.Granted, e.Withdrawn]


def test_a_no_is_said_again_without_the_request_beside_it(make_client: MakeClient, failing: AppendsFail) -> None:
    """A request cannot be filed twice, and would keep the no beside it from being written again."""
    client = make_client(failing, deadline=0.3)
    failing.held = threading.Event()
    with pytest.raises(OutcomeUnknown):
        client.record("u", GRANTED)
    client.record("u", WITHDRAWN, e.RequestFiled("r", "erasure"))
    failing.held.set()
    assert eventually(lambda: len(failing.inner.history("u")) == 6)
    client.record("u", e.RequestResolved("r", "cancelled"))
    assert reason(client.user("u")) is Reason.WITHDRAWN


def test_a_try_of_a_yes_that_arrives_late_is_refused_after_a_later_no(make_client: MakeClient, tried: Tried) -> None:
    """I4: its caller and the client gave it up, but a service may still carry it out."""
    arrives: list[Callable[[], Appended]] = []

    def is_late(write: Callable[[], Appended]) -> Appended:
        arrives.append(write)
        raise ConnectionResetError

    client = make_client(tried, deadline=0.2)
    tried.tries = [is_late, *[fails] * 30]
    with pytest.raises(OutcomeUnknown):
        client.record("u", GRANTED)
    tried.tries.clear()
    client.record("u", WITHDRAWN)
    assert eventually(lambda: reason(client.user("u")) is Reason.WITHDRAWN, 10)
    with pytest.raises(KeyReused):
        arrives[0]()
    assert [type(entry.event) for entry in tried.inner.history("u")][2:] == [e.Withdrawn, e.Withdrawn]


def test_a_yes_that_ended_in_doubt_is_not_written_after_a_later_no(make_client: MakeClient, tried: Tried) -> None:
    """I4: a try of it may still arrive once it was refused, and its caller was told so."""
    arrives: list[Callable[[], Appended]] = []

    def is_late(write: Callable[[], Appended]) -> Appended:
        arrives.append(write)
        raise ConnectionResetError

    client = make_client(tried)
    tried.tries = [is_late]
    with pytest.raises(InvalidEvent):
        client.record("v", GRANTED)
    for event in (e.AccountOpened(), e.AccountClosed(), e.AccountOpened(), WITHDRAWN):
        client.record("v", event)
    with pytest.raises(KeyReused):
        arrives[0]()
    assert reason(client.user("v")) is Reason.WITHDRAWN


def test_a_yes_that_was_said_last_is_not_undone_by_a_no_that_is_said_again(
    make_client: MakeClient, tried: Tried
) -> None:
    """It waits for what was said before it: a yes, a no that has to be said again for it, and another yes."""
    client = make_client(tried, deadline=0.5)
    tried.tries = [fails] * 40
    with pytest.raises(OutcomeUnknown):
        client.record("u", GRANTED)
    tried.tries = [*[lambda write: write()], *[fails] * 4]  # the no, and some tries to say it again
    client.record("u", WITHDRAWN)
    with suppress(OutcomeUnknown):
        client.record("u", GRANTED)
    assert eventually(lambda: reason(client.user("u")) is Reason.CONSENTED, 10)
    events = [type(entry.event) for entry in tried.inner.history("u")][2:]
    assert events == [e.Withdrawn, e.Withdrawn, e.Granted]


def test_a_yes_is_not_written_after_a_no_that_was_refused_for_want_of_it(
    make_client: MakeClient, failing: AppendsFail
) -> None:
    """The notice of the yes is unknown while the yes is not written, so the no that names it is refused."""
    client = make_client(failing, deadline=0.2)
    failing.error = ConnectionResetError()
    with pytest.raises(OutcomeUnknown):
        client.record("u", e.Notified("n", "acme", {"email"}, "surveys"), e.Agreed("n"))
    failing.are_noes_written = True
    with pytest.raises(InvalidEvent):
        client.record("u", e.AgreementWithdrawn("n"))
    failing.error = None
    share = Share("acme", {"email"}, "surveys")
    assert eventually(lambda: client.user("u").decide(share).reason is Reason.WITHDRAWN, 10)


def test_a_yes_waits_for_a_later_no_that_is_not_written_yet(make_client: MakeClient, failing: AppendsFail) -> None:
    """I4: of a yes and later noes whose outcomes are all unknown, the yes is not written last."""
    client = make_client(failing, deadline=0.2)
    failing.error = ConnectionResetError()
    for event in (GRANTED, WITHDRAWN, e.Withdrawn("surveys")):
        with pytest.raises(OutcomeUnknown):
            client.record("u", event)
    failing.error = None
    assert eventually(lambda: reason(client.user("u")) is Reason.WITHDRAWN, 20)
    events = [entry.event for entry in failing.inner.history("u")][2:]
    assert len(events) == 4
    assert set(events) == {WITHDRAWN, e.Withdrawn("surveys")}  # each once more, under the key of the yes


def test_a_yes_that_was_not_sent_yet_is_not_written_after_a_later_no(
    make_client: MakeClient, failing: AppendsFail
) -> None:
    """I4: a yes waits for a no of unknown outcome; a later no that is acknowledged meanwhile is the last word."""
    client = make_client(failing, deadline=0.2)
    failing.error = ConnectionResetError()
    for event in (WITHDRAWN, GRANTED):
        with pytest.raises(OutcomeUnknown):
            client.record("u", event)
    failing.error = None
    client.record("u", WITHDRAWN)
    assert eventually(lambda: reason(client.user("u")) is Reason.WITHDRAWN, 20)
    events = [entry.event for entry in failing.inner.history("u")][2:]
    assert set(events) == {WITHDRAWN}


def test_a_yes_that_was_not_sent_yet_waits_for_a_later_no() -> None:
    """It might be written after the no, whose outcome is unknown; a no beside the yes does not wait for that."""

    def pending(number: int, *events: e.Event) -> PendingWrite:
        return PendingWrite(Append("u", events, None, "k", e.Provenance()), takes_away=False, number=number)

    no = pending(3, WITHDRAWN)
    no.is_unknown = True
    assert waits_for(pending(2, GRANTED), no, now=0.0)
    assert not waits_for(pending(2, e.Objected("surveys"), GRANTED), no, now=0.0)


def test_a_no_beside_a_yes_waits_for_no_other_that_may_not_be_written(
    make_client: MakeClient, failing: AppendsFail
) -> None:
    """A later no that the token may not write any more holds up the yes of an earlier batch, and not its no."""
    client = make_client(failing, deadline=0.2, max_staleness=20.0)
    failing.error = ConnectionResetError()
    for events in ((e.Objected("surveys"), GRANTED), (e.AccountClosed(),)):
        with pytest.raises(OutcomeUnknown):
            client.record("u", *events)
    failing.forbidden, failing.error = e.AccountClosed, None
    objected = e.Objected("surveys")
    assert eventually(lambda: objected in [entry.event for entry in failing.inner.history("u")], 15)
    assert reason(client.user("u")) is Reason.UNAVAILABLE


def test_a_no_refused_for_the_token_is_repeated_once_in_b(clock: LeaseClock) -> None:
    """After a refusal for the token the next try of a no waits for B, after another failure no longer than usual."""
    leases = Leases(max_staleness=60.0, capacity=10, clock=clock, follow=False)
    writes = Writes(leases, clock, lambda _: Promise(), 60.0)
    tries = writes._repeat(
        PendingWrite(Append("u", (e.Withdrawn("marketing"),), None, "k", e.NO_PROVENANCE), takes_away=True)
    )
    next(tries)
    pauses = []
    for failure in (ConnectionResetError(), FORBIDDEN, unreachable(), FORBIDDEN):
        pause = tries.throw(failure)
        assert isinstance(pause, Sleep)
        pauses.append(pause.seconds)
        assert isinstance(next(tries), Append)
    assert pauses[1] == pauses[3] == 60.0
    assert max(pauses[0], pauses[2]) <= MAX_BACKOFF_SECONDS


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


def test_close_waits_one_deadline_for_a_write_of_unknown_outcome(client: Face, store: FaultyStore) -> None:
    """A write under way may end before the client does; one that does not is given up, and logged."""
    store.hold["append"] = threading.Event()
    with pytest.raises(OutcomeUnknown):
        client.record("u", *SIGNED_UP)
    began = time.monotonic()
    client.close()
    assert 0.4 < time.monotonic() - began < 1.0
    store.hold["append"].set()

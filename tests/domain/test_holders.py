"""Holders: which erasures they owe, what begins one anew, and an `Erased` that would be a lie."""

from __future__ import annotations

from datetime import datetime

import pytest

from diijam_consent_sdk import events as e
from diijam_consent_sdk.due import OwedErasure, due, erasure_due_at, owed_erasure
from diijam_consent_sdk.holders import NO_HOLDERS, Erasure, HolderRegistry
from diijam_consent_sdk.record import fold_all, refusal, unopened
from diijam_consent_sdk.vocabulary import Account, Field, Origin

from .history import USER_ID, History, seconds

MAILER, WAREHOUSE = e.ErasureConfirmed("mailer"), e.ErasureConfirmed("warehouse")
ERASURE, AGAIN = e.RequestFiled("q-1", "erasure"), e.RequestFiled("q-2", "erasure")
CANCELLED = e.RequestResolved("q-1", "cancelled")
BOTH = HolderRegistry({"mailer": seconds(0), "warehouse": seconds(0)})
NOT_ERASING = "no erasure is pending and the account is not closed"
UNKNOWN = "no such holder is registered: see the name, or register it"
ENDED = "the erasure that began then is not under way any more: list what is owed, erase that and confirm it"
CONFIRMED = "this holder has confirmed the erasure already"
TODO = "append ErasureConfirmed of each holder that has yet to confirm, or retire the holder: "


def held(*steps: e.Event | int, holders: HolderRegistry = BOTH) -> History:
    """The history of a user who opened an account, where these holders are registered."""
    return History(holders=holders).play(e.AccountOpened(), *steps)


def missing(history: History) -> tuple[str, ...]:
    """Who has yet to confirm."""
    return history.holders.missing(history.record.erasure)


def began_at(history: History) -> datetime | None:
    """When the erasure under way began."""
    return None if history.record.erasure is None else history.record.erasure.began_at


def test_an_erasure_is_under_way_from_its_beginning_on() -> None:
    """A request and a closing begin one, at the store's time; nothing else does."""
    assert held(5, e.Granted("surveys", "n"), e.RequestFiled("q-1", "access")).record.erasure is None
    assert began_at(held(5, ERASURE)) == began_at(held(5, e.AccountClosed())) == seconds(5)
    late = e.RequestFiled("q-1", "erasure", received_at=seconds(-500))
    assert began_at(held(5, late)) == seconds(5)
    assert History(holders=BOTH).append(ERASURE).record.erasure == Erasure(began_at=seconds(0), confirmed=frozenset())


def test_each_registered_holder_has_to_confirm() -> None:
    """`Erased` is refused with the names of those that have not, in order, until the last one has."""
    history = held(ERASURE)
    assert refusal(history.record, e.Erased(), history.at, holders=BOTH) == f"{TODO}mailer, warehouse"
    history.append(WAREHOUSE)
    assert missing(history) == ("mailer",)
    assert refusal(history.record, e.Erased(), history.at, holders=BOTH) == f"{TODO}mailer"
    history.append(MAILER)
    assert history.append(e.Erased()).record.account is Account.ERASED
    assert history.record.erasure is None


def test_a_batch_may_confirm_and_erase() -> None:
    """Each event is judged after those before it, also where a closing begins what is confirmed."""
    assert held(e.AccountClosed()).attempt(MAILER, WAREHOUSE, e.Erased())
    assert not held().attempt(e.AccountClosed(), e.Erased())
    assert not held().attempt(e.AccountClosed(), MAILER, e.Erased())
    assert held(holders=NO_HOLDERS).attempt(e.AccountClosed(), e.Erased())


@pytest.mark.parametrize(
    ("steps", "holder", "reason"),
    [
        ((), "mailer", NOT_ERASING),
        ((ERASURE, CANCELLED), "mailer", NOT_ERASING),
        ((e.AccountClosed(), e.AccountOpened()), "mailer", NOT_ERASING),
        ((ERASURE,), "search", UNKNOWN),
        ((ERASURE, MAILER), "mailer", CONFIRMED),
        ((e.AccountClosed(), MAILER), "mailer", CONFIRMED),
        ((ERASURE, WAREHOUSE), "mailer", None),
        ((e.AccountClosed(),), "mailer", None),
    ],
)
def test_what_is_no_confirmation_is_refused(steps: tuple[e.Event, ...], holder: str, reason: str | None) -> None:
    """Without an erasure, of an unknown holder, and a second time; each neighbour is accepted."""
    history = held(*steps)
    assert refusal(history.record, e.ErasureConfirmed(holder), history.at, holders=BOTH) == reason


def test_a_user_without_an_account_is_erased_by_the_same_rules() -> None:
    """Who never had an account and asked for erasure is owed it by each holder, too."""
    history = History(holders=BOTH)
    never = "the account was never opened: only opening, saying no and requests are accepted"
    assert refusal(history.record, MAILER, history.at, holders=BOTH) == NOT_ERASING != never
    history.append(ERASURE)
    assert not history.attempt(e.Erased())
    assert history.attempt(MAILER, WAREHOUSE, e.Erased())


def test_a_holder_owes_what_began_after_it_was_registered() -> None:
    """What began before does not wait for it; what began at the same instant does, since that processes less."""
    for began, owed in ((4, ()), (5, ("mailer",)), (6, ("mailer",))):
        history = held(began, ERASURE, holders=HolderRegistry({"mailer": seconds(5)}))
        assert missing(history) == owed
        assert history.attempt(e.Erased()) is not bool(owed)


def test_a_holder_may_confirm_what_it_does_not_owe() -> None:
    """A holder that was registered later may say that it has nothing left."""
    history = held(ERASURE, MAILER, holders=HolderRegistry({"mailer": seconds(5)}))
    assert history.record.erasure == Erasure(began_at=seconds(0), confirmed=frozenset({"mailer"}))


def test_a_retired_holder_owes_nothing() -> None:
    """Once it is registered no more, nobody waits for it, and it cannot confirm."""
    history = held(ERASURE, MAILER)
    history.holders = HolderRegistry({"mailer": seconds(0)})
    assert missing(history) == ()
    assert refusal(history.record, WAREHOUSE, history.at, holders=history.holders) == UNKNOWN
    assert history.attempt(e.Erased())


ANEW: dict[str, tuple[e.Event | int, ...]] = {
    "a request after the first was cancelled": (ERASURE, MAILER, CANCELLED, 7, AGAIN),
    "a request after the first was refused": (ERASURE, MAILER, e.RequestResolved("q-1", "refused", "no"), 7, AGAIN),
    "a closing after the request was cancelled": (ERASURE, MAILER, CANCELLED, 7, e.AccountClosed()),
    "a closing after the account was opened again": (
        e.AccountClosed(), MAILER, e.AccountOpened(), 7, e.AccountClosed()
    ),
    "a request on a closed account": (e.AccountClosed(), MAILER, 7, ERASURE),
    "opening while a request is open": (ERASURE, e.AccountClosed(), MAILER, 7, e.AccountOpened(Origin.GOOGLE)),
    "the end of the last request on a closed account": (ERASURE, e.AccountClosed(), MAILER, 7, CANCELLED),
}  # fmt: skip
GOES_ON: dict[str, tuple[e.Event | int, ...]] = {
    "a second request": (7, ERASURE, MAILER, 1, AGAIN),
    "the end of one of two requests": (7, ERASURE, MAILER, 1, AGAIN, CANCELLED),
    "a closing while a request is open": (7, ERASURE, MAILER, 1, e.AccountClosed()),
    "another request": (7, ERASURE, MAILER, 1, e.RequestFiled("q-2", "access")),
    "the end of another request": (
        7, ERASURE, MAILER, 1, e.RequestFiled("q-2", "access"), e.RequestResolved("q-2", "fulfilled")
    ),
    "another request on a closed account": (7, e.AccountClosed(), MAILER, 1, e.RequestFiled("q-2", "access")),
    "a no": (7, ERASURE, MAILER, 1, e.Withdrawn("surveys"), e.Restricted()),
}  # fmt: skip


@pytest.mark.parametrize("steps", ANEW.values(), ids=list(ANEW))
def test_a_confirmation_counts_for_the_erasure_that_it_names(steps: tuple[e.Event | int, ...]) -> None:
    """What was listed before the erasure ended confirms none that began since; the new one is confirmed by its own."""
    listed, *since = (step for step in steps if step != MAILER)
    history = held(listed)
    before = began_at(history)
    history.play(3, *since)
    for named, reason in ((before, ENDED), (began_at(history), None), (None, None)):
        assert refusal(history.record, e.ErasureConfirmed("mailer", named), history.at, holders=BOTH) == reason
    assert not history.attempt(e.ErasureConfirmed("mailer", before))


@pytest.mark.parametrize("steps", GOES_ON.values(), ids=list(GOES_ON))
def test_a_confirmation_counts_while_the_erasure_goes_on(steps: tuple[e.Event | int, ...]) -> None:
    """Whatever else was said since it was listed."""
    history = held(*(step for step in steps if step != MAILER))
    assert began_at(history) == seconds(7)
    assert history.attempt(e.ErasureConfirmed("mailer", seconds(7)))


@pytest.mark.parametrize("steps", ANEW.values(), ids=list(ANEW))
def test_what_begins_an_erasure_anew(steps: tuple[e.Event | int, ...]) -> None:
    """Confirmations before the beginning do not count, and the holder may confirm once more."""
    history = held(*steps)
    assert history.record.erasure == Erasure(began_at=seconds(7), confirmed=frozenset())
    assert missing(history) == ("mailer", "warehouse")
    assert history.attempt(MAILER)


@pytest.mark.parametrize("steps", GOES_ON.values(), ids=list(GOES_ON))
def test_what_leaves_an_erasure_as_it_is(steps: tuple[e.Event | int, ...]) -> None:
    """The erasure goes on, with what was confirmed."""
    assert held(*steps).record.erasure == Erasure(began_at=seconds(7), confirmed=frozenset({"mailer"}))


@pytest.mark.parametrize("steps", [*ANEW.values(), *GOES_ON.values()], ids=[*ANEW, *GOES_ON])
def test_all_entries_at_once_make_the_same_erasure(steps: tuple[e.Event | int, ...]) -> None:
    """Folding a whole history, whose maps are changed in place, finds the same beginning and confirmations."""
    history = held(*steps)
    assert fold_all(unopened(USER_ID), history.entries) == history.record


def test_opening_for_the_first_time_while_a_request_is_open_begins_anew() -> None:
    """What was confirmed before there was an account says nothing of what is collected from then on."""
    history = History(holders=BOTH).play(ERASURE, MAILER, 7, e.AccountOpened())
    assert history.record.erasure == Erasure(began_at=seconds(7), confirmed=frozenset())


def test_an_erasure_ends_with_its_request() -> None:
    """On an open account nothing is owed once no request for erasure is open."""
    assert held(ERASURE, MAILER, CANCELLED).record.erasure is None
    assert held(e.AccountClosed(), MAILER, e.AccountOpened()).record.erasure is None


def test_the_work_list_names_who_is_missing() -> None:
    """An erasure that waits for a holder is held, without any hold, and tells for whom."""
    history = held(ERASURE, WAREHOUSE)
    (waiting,) = due([history.record], history.at, BOTH).held
    assert (waiting.missing, waiting.holds, waiting.until) == (("mailer",), (), None)
    assert due([history.record], history.at, BOTH).erasable == ()
    (free,) = due([history.record], history.at).erasable
    assert free.missing == ()
    history.append(MAILER)
    assert [it.missing for it in due([history.record], history.at, BOTH).erasable] == [()]


def told(history: History, at: int = 0) -> OwedErasure:
    """What a holder is told at an instant of the erasure under way."""
    assert history.record.erasure is not None
    return owed_erasure(history.record, history.record.erasure, seconds(at))


def test_what_a_holder_is_told_of_an_erasure() -> None:
    """When the first open request is due, None after a closing alone, and what live holds keep."""
    steps = e.HoldPlaced("h-1", "debt", ["payment"]), e.HoldPlaced("h-2", "tax", ["email"], seconds(9))
    asked = held(*steps, e.RequestFiled("q-2", "erasure", processor=True), ERASURE, e.RequestFiled("q-3", "access"))
    owed = told(asked)
    assert (owed.user_id, owed.kept) == (USER_ID, frozenset({Field.PAYMENT, Field.EMAIL}))
    assert owed.due_at == asked.record.requests["q-1"].due_at < asked.record.requests["q-2"].due_at
    assert (owed.began_at, told(held(5, ERASURE, 5, AGAIN)).began_at) == (seconds(0), seconds(5))
    assert told(asked, at=9).kept == {Field.PAYMENT}
    closed = held(e.RequestFiled("q-3", "access"), e.AccountClosed())
    assert told(closed).due_at is erasure_due_at(closed.record) is None
    assert USER_ID not in repr(owed)

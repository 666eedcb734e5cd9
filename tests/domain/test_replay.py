"""Which noes a restored ledger lacks."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from itertools import product

import attrs
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from diijam_consent_sdk import events as e
from diijam_consent_sdk.decisions import decide
from diijam_consent_sdk.due import erasure_due_at
from diijam_consent_sdk.replay import LostNo, begin_erasure_again, lost_noes
from diijam_consent_sdk.vocabulary import Channel, Method, Reason
from tests.strategies import EVERY_ASK, START, events

from .history import USER_ID, History
from .test_holders import ANEW, BOTH, CANCELLED, GOES_ON, MAILER

OPENED = e.AccountOpened()
MAIL, CALL = (e.Granted("marketing", "n", [channel]) for channel in ("email", "call"))
SURVEYS = e.Granted("surveys", "n")
TOLD, AGREED = e.Notified("n-1", "acme", ["email"], "marketing"), e.Agreed("n-1")
ERASURE = e.RequestFiled("q-1", "erasure")
SOON, LATER = (START + timedelta(days=days) for days in (1, 2))
CUSTOMERS_NOES = frozenset({
    Reason.WITHDRAWN, Reason.OBJECTED, Reason.RESTRICTED, Reason.ERASURE_REQUESTED, Reason.ACCOUNT_CLOSED,
    Reason.ERASED, Reason.NOT_PUBLISHED, Reason.NOT_CONSENTED, Reason.NOT_AGREED, Reason.EXPIRED,
})  # fmt: skip


def fork(shared: Iterable[e.Event], *branches: Iterable[e.Event]) -> list[History]:
    """Histories that share their beginning, with hashes; what the policy refuses is left out."""
    histories = []
    for number, branch in enumerate(branches):
        history = History()
        for event in shared:
            history.tick(1).attempt(event)
        common = len(history.entries)
        for event in branch:
            history.tick(1).attempt(event)
        history.entries = [
            attrs.evolve(entry, hash=f"{place if place < common else (number, place)}")
            for place, entry in enumerate(history.entries)
        ]
        histories.append(history)
    return histories


def seen(history: History) -> list[e.LedgerEntry]:
    """The entries that a ledger shows: of an erased user the last alone."""
    erased = [entry for entry in history.entries if isinstance(entry.event, e.Erased)]
    return erased or history.entries


def lost(old: History, new: History) -> list[LostNo]:
    """What *new* lacks of *old*."""
    return lost_noes(USER_ID, seen(old), seen(new))


LOST = [
    ([OPENED, MAIL], [e.Withdrawn("marketing", ["email"])], [e.Withdrawn("marketing", ["email"])]),
    ([OPENED, MAIL], [e.Withdrawn("marketing")], [e.Withdrawn("marketing", [channel]) for channel in sorted(Channel)]),
    ([OPENED, MAIL], [e.Withdrawn("marketing", ["email"]), MAIL], []),
    ([OPENED, e.Withdrawn("surveys")], [], []),
    ([OPENED, e.Withdrawn("surveys")], [e.Withdrawn("surveys")], []),
    ([OPENED, TOLD, AGREED], [e.AgreementWithdrawn("n-1")], [e.AgreementWithdrawn("n-1")]),
    ([OPENED], [TOLD, e.AgreementWithdrawn("n-1")], []),
    ([OPENED], [e.Objected("surveys")], [e.Objected("surveys")]),
    ([OPENED], [e.Objected("surveys"), e.ObjectionLifted("surveys")], []),
    ([OPENED], [e.Restricted(["email", "phone"])], [e.Restricted(["email"]), e.Restricted(["phone"])]),
    ([OPENED], [e.Restricted(["email", "phone"]), e.RestrictionLifted(["email"])], [e.Restricted(["phone"])]),
    ([OPENED], [e.Restricted()], [e.Restricted()]),
    ([OPENED, e.Published("avatar")], [e.Hidden("avatar")], [e.Hidden("avatar")]),
    ([OPENED, MAIL], [e.AccountClosed()], [e.AccountClosed()]),
    ([], [OPENED, e.AccountClosed()], []),
    (
        [OPENED, MAIL, SURVEYS, TOLD, AGREED, e.Published("avatar")],
        [e.AccountClosed(), OPENED, SURVEYS],
        [e.Withdrawn("marketing", ["email"]), e.AgreementWithdrawn("n-1"), e.Hidden("avatar")],
    ),
    ([OPENED], [e.RequestFiled("q-2", "access")], []),
    ([OPENED], [ERASURE, e.RequestResolved("q-1", "cancelled")], []),
    ([], [e.Withdrawn("surveys")], [e.Withdrawn("surveys")]),
    ([OPENED, SURVEYS], [e.Granted("surveys", "n-2", expires_at=SOON)], [e.Withdrawn("surveys")]),
    ([OPENED, e.Granted("surveys", "n", expires_at=SOON)], [e.Granted("surveys", "n-2", expires_at=LATER)], []),
    ([OPENED, e.Granted("surveys", "n", expires_at=SOON)], [SURVEYS], []),
    ([OPENED], [e.Granted("surveys", "n", expires_at=SOON)], []),
    ([OPENED, TOLD, AGREED], [e.Agreed("n-1", expires_at=SOON)], [e.AgreementWithdrawn("n-1")]),
    (
        [OPENED, MAIL, CALL],
        [e.Granted("marketing", "n-2", ["email"], expires_at=SOON)],
        [e.Withdrawn("marketing", ["email"])],
    ),
    ([OPENED, SURVEYS, e.Withdrawn("surveys")], [e.AccountClosed(), OPENED], []),
    ([OPENED, TOLD], [e.Agreed("n-1", expires_at=SOON)], []),
    ([OPENED, SURVEYS, e.Withdrawn("surveys")], [e.Granted("surveys", "n", expires_at=SOON)], []),
    (
        [OPENED, MAIL],
        [e.Granted("marketing", "n-2", ["call", "email"], expires_at=SOON)],
        [e.Withdrawn("marketing", ["email"])],
    ),
]


@pytest.mark.parametrize(("shared", "said", "noes"), LOST)
def test_what_was_lost_is_what_was_in_force_at_the_end(
    shared: list[e.Event], said: list[e.Event], noes: list[e.Event]
) -> None:
    """A no that was taken back is not replayed, nor one that the restored ledger has, nor any yes."""
    old, new = fork(shared, said, [])
    assert [no.event for no in lost(old, new)] == noes
    assert all(no.entry in old.entries and not no.is_against_later_yes for no in lost(old, new))


IMPORTED, LATER_IMPORTED = (
    e.Provenance(method=Method.IMPORT, said_at=START - timedelta(days=days)) for days in (30, 10)
)
YES: dict[str, e.Event] = {"surveys": SURVEYS, "n-1": AGREED, "avatar": e.Published("avatar")}
NO: dict[str, e.Event] = {
    "surveys": e.Withdrawn("surveys"), "n-1": e.AgreementWithdrawn("n-1"), "avatar": e.Hidden("avatar"),
}  # fmt: skip


@pytest.mark.parametrize("thing", NO)
@pytest.mark.parametrize("said", [e.NO_PROVENANCE, LATER_IMPORTED], ids=["here", "later"])
@pytest.mark.parametrize("first", [IMPORTED, None], ids=["imported", "none"])
def test_no_import_overrules_a_lost_no(thing: str, said: e.Provenance, first: e.Provenance | None) -> None:
    """A no that both have is lost all the same where the restored one has it by an earlier import, or by no word."""
    old, new = fork([OPENED, TOLD], [], [])
    for history in (old, new):
        if first is not None:
            assert history.tick(1).attempt(NO[thing], provenance=first)
    old.tick(1).append(NO[thing], provenance=said)
    old.entries[-1] = attrs.evolve(old.entries[-1], hash="lost")
    (no,) = lost(old, new)
    assert no.event == NO[thing]
    assert new.attempt(no.event)
    assert lost(old, new) == []
    between = attrs.evolve(IMPORTED, said_at=START - timedelta(days=20))
    assert not new.attempt(YES[thing], provenance=between)


def test_a_forged_entry_that_both_ledgers_have_hides_no_no() -> None:
    """The ledger that was replaced may be broken: what both had is taken from the restored one."""
    old, new = fork([OPENED, SURVEYS], [e.Withdrawn("surveys")], [])
    old.entries[1] = attrs.evolve(old.entries[1], event=e.Withdrawn("surveys"))
    assert [no.event for no in lost(old, new)] == [e.Withdrawn("surveys")]


def test_a_yes_that_was_cut_short_and_given_again_stands() -> None:
    """What the user has agreed to since the restore is newer than the end that was lost."""
    old, new = fork([OPENED, SURVEYS], [e.Granted("surveys", "n-2", expires_at=SOON)], [SURVEYS])
    assert lost(old, new) == []


def test_nothing_is_replayed_for_who_was_erased_since() -> None:
    """The restored ledger erased the user, who has no more to say no to."""
    old, new = fork([OPENED, MAIL], [e.Withdrawn("marketing")], [ERASURE, e.Erased()])
    assert lost(old, new) == []


AGAINST = [
    (e.Withdrawn("marketing", ["email"]), MAIL, True),
    (e.Withdrawn("marketing", ["email"]), CALL, False),
    (e.Withdrawn("surveys"), SURVEYS, True),
    (e.Hidden("avatar"), e.Published("avatar"), True),
    (e.Restricted(["email"]), e.RestrictionLifted(["email"]), True),
    (e.Restricted(["email"]), e.RestrictionLifted(), True),
    (e.Restricted(), e.RestrictionLifted(), True),
    (e.Objected("surveys"), e.ObjectionLifted("surveys"), True),
    (e.AgreementWithdrawn("n-1"), AGREED, True),
    (e.Objected("marketing"), MAIL, True),
    (e.Objected("surveys"), MAIL, False),
    (e.Objected("marketing"), AGREED, True),
    (e.Objected("surveys"), AGREED, False),
    (e.Restricted(["email"]), MAIL, True),
    (e.Restricted(["email"]), e.RestrictionLifted(["phone"]), False),
    (e.Restricted(), e.Published("avatar"), True),
    (e.Restricted(), AGREED, True),
    (e.Restricted(), e.Objected("surveys"), False),
    (e.Hidden("avatar"), e.Published("username"), False),
    (e.AccountClosed(), SURVEYS, True),
    (e.AccountClosed(), e.Withdrawn("surveys"), False),
    (e.RequestFiled("q-1", "erasure", received_at=START), MAIL, True),
    (e.RequestFiled("q-1", "erasure", received_at=START), e.Hidden("avatar"), False),
]


@pytest.mark.parametrize(("no", "since", "is_against"), AGAINST)
def test_a_later_yes_is_listed(no: e.Event, since: e.Event, is_against: bool) -> None:
    """The no is replayed also against what the user said since the restore, and the caller learns of it."""
    old, new = fork([OPENED, TOLD], [no], [since])
    assert [(lost.event, lost.is_against_later_yes) for lost in lost_noes(USER_ID, seen(old), seen(new))] == [
        (no, is_against)
    ]


def test_a_no_that_both_ledgers_have_is_never_replayed_against_a_later_yes() -> None:
    """What the restored ledger has not lost, the customer has taken back."""
    old, new = fork([OPENED, e.Withdrawn("surveys")], [e.Objected("marketing")], [SURVEYS])
    assert [no.event for no in lost(old, new)] == [e.Objected("marketing")]


def test_a_closing_adds_no_no_to_what_was_withdrawn_before_it() -> None:
    """A withdrawal that both ledgers have, and that was taken back since the restore, is not replayed for a closing."""
    old, new = fork([OPENED, SURVEYS, e.Withdrawn("surveys")], [e.AccountClosed(), OPENED], [SURVEYS])
    assert lost(old, new) == []


def test_an_erasure_request_whose_id_was_used_again_has_another() -> None:
    """The restored ledger knows the id, of a request that was resolved."""
    old, new = fork([OPENED], [ERASURE], [e.RequestFiled("q-1", "access"), e.RequestResolved("q-1", "fulfilled")])
    (no,) = lost(old, new)
    filed = old.entries[-1]
    assert no.event == e.RequestFiled(f"replay-{filed.position}", "erasure", received_at=filed.at)


@pytest.mark.parametrize("received_at", [None, START - timedelta(days=3)])
def test_a_pending_erasure_runs_from_its_old_time(received_at: datetime | None) -> None:
    """The restore gives Diijam no more time: the request is due when it was due in the other ledger."""
    old, new = fork([OPENED], [e.RequestFiled("q-1", "erasure", received_at=received_at)], [])
    new.at += timedelta(days=9)
    (no,) = lost(old, new)
    assert new.attempt(no.event)
    assert new.record.requests["q-1"].due_at == old.record.requests["q-1"].due_at


def test_an_erased_user_is_erased_again() -> None:
    """The request is filed as received when it was fulfilled, unless one is pending; `anonymised` stays."""
    gone: list[e.Event] = [ERASURE, e.Erased(anonymised=True)]
    old, new, asked = fork([OPENED, MAIL], gone, [], [ERASURE])
    request, erased = lost(old, new)
    at = old.entries[-1].at
    assert request.event == e.RequestFiled(f"replay-{request.entry.position}", "erasure", received_at=at)
    assert not erased.is_against_later_yes
    assert erased.event == e.Erased(anonymised=True)
    assert [no.event for no in lost(old, asked)] == [e.Erased(anonymised=True)]
    assert lost(old, old) == []


def test_an_erasure_against_a_later_yes_is_listed() -> None:
    """A yes from after the erasure, not one from before it, is listed."""
    old, before, then, after = fork([OPENED], [ERASURE, e.Erased()], [MAIL], [], [])
    then.at = old.at
    assert then.attempt(MAIL)
    assert after.tick(60).attempt(MAIL)
    assert [no.is_against_later_yes for no in lost(old, before)] == [False, False]
    assert [no.is_against_later_yes for no in lost(old, then)] == [False, False]
    assert [no.is_against_later_yes for no in lost(old, after)] == [True, True]


@settings(max_examples=150)
@given(st.lists(events(), max_size=12), st.lists(events(), max_size=12), st.lists(events(), max_size=6))
@example([e.HoldPlaced("h-2", "tax", ["full_name"]), e.AccountClosed()], [e.HoldReleased("h-2")], [])
def test_after_a_replay_no_yes_stands_against_a_lost_no(
    shared: list[e.Event], said: list[e.Event], since: list[e.Event]
) -> None:
    """
    What the old ledger denies by the customer's word, the restored one denies, but for data that a hold keeps: its end
    is no customer's word. With more said since, the lost noes are in force; and a second replay finds nothing, but an
    erasure that a hold keeps from being done.
    """
    for later in ([], since):
        old, new = fork([OPENED, *shared], said, later)
        new.at = max(old.at, new.at)
        for no in lost(old, new):
            assert new.attempt(no.event) or isinstance(no.event, e.Erased)
        assert [no.event for no in lost(old, new) if not isinstance(no.event, e.Erased)] == []
        if later:
            continue
        for ask, at in product(EVERY_ASK, (new.at, new.at + timedelta(days=3650))):
            if decide(old.record, ask, at).reason in CUSTOMERS_NOES:
                restored = decide(new.record, ask, at)
                assert not restored or restored.reason is Reason.HELD, (ask, at)


def confirmed_before(steps: Iterable[e.Event | int]) -> tuple[History, History]:
    """A ledger that has all *steps*, and its copy of what was said up to the mailer's confirmation."""
    old, new = fork([], [], [])
    for history in (old, new):
        history.holders = BOTH
        history.append(OPENED)
    for step in steps:
        old.play(step)
        if step == MAILER:
            new.entries, new.record, new.at = [*old.entries], old.record, old.at
    for history in (old, new):
        history.entries = [attrs.evolve(entry, hash=str(place)) for place, entry in enumerate(history.entries)]
    return old, new


@pytest.mark.parametrize("steps", [*ANEW.values(), (ERASURE, MAILER, 7, CANCELLED)], ids=[*ANEW, "the end of it"])
def test_an_erasure_that_ended_since_begins_again(steps: tuple[e.Event | int, ...]) -> None:
    """Written after the lost noes, it asks each holder once more and keeps the due time; done, it is not done again."""
    old, new = confirmed_before(steps)
    new.tick(60)
    due_at = erasure_due_at(new.record)
    noes, again = lost(old, new), begin_erasure_again(USER_ID, old.entries, new.entries)
    for no in noes:
        new.append(no.event)
    new.append(*again)
    assert BOTH.missing(new.record.erasure) == ("mailer", "warehouse")
    assert due_at is None or erasure_due_at(new.record) == due_at
    assert not new.attempt(e.Erased())
    assert begin_erasure_again(USER_ID, old.entries, new.entries) == []


@pytest.mark.parametrize("steps", GOES_ON.values(), ids=list(GOES_ON))
def test_an_erasure_that_goes_on_does_not_begin_again(steps: tuple[e.Event | int, ...]) -> None:
    """Nor does one that its holders confirmed once more in the ledger that has what was lost."""
    old, new = confirmed_before(steps)
    assert begin_erasure_again(USER_ID, old.entries, new.entries) == []
    cancelled, copy = confirmed_before(ANEW["a request after the first was cancelled"])
    assert begin_erasure_again(USER_ID, cancelled.entries, copy.entries)
    assert begin_erasure_again(USER_ID, cancelled.append(MAILER).entries, copy.entries) == []

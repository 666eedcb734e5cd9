"""The column "refused when" of the events table: what each row refuses, and the neighbour that it accepts."""

from __future__ import annotations

import attrs
import pytest

from diijam_consent_sdk import events as e
from diijam_consent_sdk.errors import InvalidEvent
from diijam_consent_sdk.holders import HolderRegistry
from diijam_consent_sdk.identifiers import list_ids
from diijam_consent_sdk.policy import BASIS, PUBLISHABLE, Basis
from diijam_consent_sdk.record import refusal
from diijam_consent_sdk.vocabulary import Account, Channel, Field, Outcome, Purpose

from .history import History, opened, seconds
from .samples import EACH_EVENT, HOLDERS, NEEDED

ERASED_USER = "the user was erased, and a user id is never used again"
NEVER_OPENED = "the account was never opened: only opening, saying no and requests are accepted"
OPEN_ALREADY = "the account is open already"
CLOSED = "the account is closed: only opening, saying no, requests, holds and erasure are accepted"
NO_FIELDS = "the set of fields is empty"
NO_FUTURE = "expires_at or until is not in the future"
NO_CHANNELS = "consent to marketing names its channels"
STRAY_CHANNELS = "only marketing has channels"
ALL_RESTRICTED = "all data is restricted: lift all, then restrict what should stay"
OTHER_CONTENT = "this notice was told before with other content"
NOT_TOLD = "this notice was not told beforehand"
REQUEST_KNOWN = "this request id is known already"
NO_REQUEST = "there is no such open request"
RECEIVED_LATER = "received_at is in the future"
REPLIED = "the request was replied to already"
EXTENDED = "the request was extended already: it is extended once"
PAST_DUE = "the request is past its due time: it is extended before"
NO_REASON = "a request is refused for a reason: give its id"
USE_ERASED = "an erasure is fulfilled by appending Erased"
HOLD_KNOWN = "this hold id is known already"
NO_HOLD = "there is no such live hold"
NOT_ERASING = "no erasure is pending and the account is not closed"
TOO_MANY_OPEN = "50 requests are open: resolve some first"
TOO_MANY_REQUESTS = "the record has 1,000 requests: it takes no more"
TOO_MANY_NOTICES = "the record has 1,000 notices: it takes no more"
TOO_MANY_HOLDS = "the record has 1,000 holds: it takes no more"
HELD = "live holds keep the data, release them first: "

each_event = pytest.mark.parametrize("event", EACH_EVENT, ids=lambda event: type(event).__name__)


@attrs.frozen
class Case:
    """An event refused after some steps on an opened account, and its neighbour: other steps, or another event."""

    before: tuple[e.Event | int, ...]
    refused: e.Event
    reason: str
    neighbour: tuple[e.Event | int, ...]  # all of it is accepted


DAY = 24 * 3600
TOLD = e.Notified("n-1", "acme-records", ["email", "username"], "marketing")
GRANT = e.Granted("surveys", "n-1")
ERASURE = e.RequestFiled("q-1", "erasure")
REFUSED = e.RequestResolved("q-1", "refused", "not-yours")
DEBT = e.HoldPlaced("h-1", "debt", ["payment"])
DEBT_FOR_10 = e.HoldPlaced("h-1", "debt", ["payment"], seconds(10))

CASES = {
    "AccountOpened twice": Case((), e.AccountOpened(), OPEN_ALREADY, (e.AccountClosed(), e.AccountOpened())),
    "AccountOpened again from elsewhere": Case((), e.AccountOpened("google"), OPEN_ALREADY, ()),
    "AccountClosed twice": Case((e.AccountClosed(),), e.AccountClosed(), CLOSED, (e.AccountClosed(),)),
    "Granted marketing without channels": Case(
        (), e.Granted("marketing", "n-1"), NO_CHANNELS, (e.Granted("marketing", "n-1", ["email"]),)
    ),
    "Granted surveys with channels": Case((), e.Granted("surveys", "n-1", ["email"]), STRAY_CHANNELS, (GRANT,)),
    "Granted until now": Case(
        (5,),
        attrs.evolve(GRANT, expires_at=seconds(5)),
        NO_FUTURE,
        (5, attrs.evolve(GRANT, expires_at=seconds(5.000001))),
    ),
    "Granted until past": Case(
        (5,), attrs.evolve(GRANT, expires_at=seconds(4)), NO_FUTURE, (3, attrs.evolve(GRANT, expires_at=seconds(4)))
    ),
    "Granted marketing until now": Case(
        (),
        e.Granted("marketing", "n-1", ["call"], seconds(0)),
        NO_FUTURE,
        (e.Granted("marketing", "n-1", ["call"], seconds(1)),),
    ),
    "Withdrawn surveys with channels": Case(
        (GRANT,), e.Withdrawn("surveys", ["email"]), STRAY_CHANNELS, (e.Withdrawn("surveys"),)
    ),
    "Restricted nothing": Case((), e.Restricted(()), NO_FIELDS, (e.Restricted(["email"]), e.Restricted())),
    "RestrictionLifted nothing": Case(
        (e.Restricted(["email"]),),
        e.RestrictionLifted(()),
        NO_FIELDS,
        (e.RestrictionLifted(["email"]), e.RestrictionLifted()),
    ),
    "RestrictionLifted in part of all": Case(
        (e.Restricted(),),
        e.RestrictionLifted(["email"]),
        ALL_RESTRICTED,
        (e.Restricted(), e.RestrictionLifted(), e.RestrictionLifted(["email"])),
    ),
    "RestrictionLifted in part of all and some": Case(
        (e.Restricted(["email"]), e.Restricted(), e.Restricted(["email"])),
        e.RestrictionLifted(["email"]),
        ALL_RESTRICTED,
        (e.Restricted(["email"]), e.RestrictionLifted(["email"])),
    ),
    "RestrictionLifted of each field of all": Case(
        (e.Restricted(),), e.RestrictionLifted(Field), ALL_RESTRICTED, (e.Restricted(), e.RestrictionLifted())
    ),
    "Notified of nothing": Case((), e.Notified("n-1", "acme-records", (), "marketing"), NO_FIELDS, (TOLD,)),
    "Notified of other data": Case((TOLD,), attrs.evolve(TOLD, data=["email"]), OTHER_CONTENT, (TOLD, TOLD)),
    "Notified of more data": Case(
        (TOLD,),
        attrs.evolve(TOLD, data=["email", "username", "phone"]),
        OTHER_CONTENT,
        (TOLD, attrs.evolve(TOLD, notice="n-2", data=["email", "username", "phone"])),
    ),
    "Notified of another recipient": Case(
        (TOLD,), attrs.evolve(TOLD, recipient="bolt-ads"), OTHER_CONTENT, (TOLD, 5, TOLD)
    ),
    "Notified of another purpose": Case(
        (TOLD, e.Agreed("n-1")), attrs.evolve(TOLD, purpose="surveys"), OTHER_CONTENT, (TOLD, e.Agreed("n-1"), TOLD)
    ),
    "Notified after an agreement withdrawn, of other data": Case(
        (TOLD, e.AgreementWithdrawn("n-1")), attrs.evolve(TOLD, data=["email"]), OTHER_CONTENT, (TOLD,)
    ),
    "Agreed to what was not told": Case((TOLD,), e.Agreed("n-2"), NOT_TOLD, (TOLD, e.Agreed("n-1"), e.Agreed("n-1"))),
    "Agreed until now": Case(
        (TOLD, 5), e.Agreed("n-1", seconds(5)), NO_FUTURE, (TOLD, 5, e.Agreed("n-1", seconds(5.000001)))
    ),
    "Agreed until past": Case((TOLD, 5), e.Agreed("n-1", seconds(1)), NO_FUTURE, (TOLD, e.Agreed("n-1", seconds(1)))),
    "AgreementWithdrawn from what was not told": Case(
        (TOLD,), e.AgreementWithdrawn("n-2"), NOT_TOLD, (TOLD, e.AgreementWithdrawn("n-1"), e.AgreementWithdrawn("n-1"))
    ),
    "RequestFiled under a known id": Case(
        (e.RequestFiled("q-1", "access"),), ERASURE, REQUEST_KNOWN, (ERASURE, e.RequestFiled("q-2", "erasure"))
    ),
    "RequestFiled under the id of a resolved one": Case((ERASURE, REFUSED), ERASURE, REQUEST_KNOWN, (ERASURE,)),
    "RequestResolved that was never filed": Case(
        (ERASURE,),
        e.RequestResolved("q-2", "refused", "not-yours"),
        NO_REQUEST,
        (ERASURE, REFUSED),
    ),
    "RequestResolved twice": Case(
        (ERASURE, e.RequestResolved("q-1", "cancelled")),
        REFUSED,
        NO_REQUEST,
        (ERASURE, e.RequestResolved("q-1", "cancelled"), e.RequestFiled("q-2", "erasure")),
    ),
    "RequestResolved as fulfilled twice": Case(
        (ERASURE, e.RequestResolved("q-1", "cancelled")), e.RequestResolved("q-1", "fulfilled"), NO_REQUEST, ()
    ),
    "RequestResolved of an erasure as fulfilled": Case(
        (ERASURE,),
        e.RequestResolved("q-1", "fulfilled"),
        USE_ERASED,
        (e.RequestFiled("q-1", "access"), e.RequestResolved("q-1", "fulfilled")),
    ),
    "RequestFiled that is received later": Case(
        (5,),
        e.RequestFiled("q-1", "access", received_at=seconds(5.000001)),
        RECEIVED_LATER,
        (5, e.RequestFiled("q-1", "access", received_at=seconds(5))),
    ),
    "RequestReplied that was never filed": Case(
        (ERASURE,), e.RequestReplied("q-2"), NO_REQUEST, (ERASURE, e.RequestReplied("q-1"))
    ),
    "RequestReplied twice": Case(
        (ERASURE, e.RequestReplied("q-1")),
        e.RequestReplied("q-1"),
        REPLIED,
        (ERASURE, e.RequestFiled("q-2", "access"), e.RequestReplied("q-1"), e.RequestReplied("q-2")),
    ),
    "RequestReplied after the end": Case(
        (ERASURE, e.RequestResolved("q-1", "cancelled")), e.RequestReplied("q-1"), NO_REQUEST, ()
    ),
    "RequestExtended that was never filed": Case(
        (ERASURE,), e.RequestExtended("q-2", "archive"), NO_REQUEST, (ERASURE, e.RequestExtended("q-1", "archive"))
    ),
    "RequestExtended twice": Case(
        (ERASURE, e.RequestExtended("q-1", "archive")), e.RequestExtended("q-1", "staff"), EXTENDED, ()
    ),
    "RequestExtended when it is due": Case(
        (e.RequestFiled("q-1", "access"), 10 * DAY),
        e.RequestExtended("q-1", "archive"),
        PAST_DUE,
        (e.RequestFiled("q-1", "access"), 10 * DAY - 1, e.RequestExtended("q-1", "archive")),
    ),
    "RequestResolved as refused without a reason": Case(
        (ERASURE,),
        e.RequestResolved("q-1", "refused"),
        NO_REASON,
        (ERASURE, REFUSED),
    ),
    "HoldPlaced on nothing": Case((), e.HoldPlaced("h-1", "debt", ()), NO_FIELDS, (DEBT,)),
    "HoldPlaced under a known id": Case((DEBT,), DEBT, HOLD_KNOWN, (DEBT, attrs.evolve(DEBT, hold="h-2"))),
    "HoldPlaced under the id of a released one": Case(
        (DEBT, e.HoldReleased("h-1")), attrs.evolve(DEBT, kind="tax"), HOLD_KNOWN, (DEBT, e.HoldReleased("h-1"))
    ),
    "HoldPlaced under the id of one that ran out": Case((DEBT_FOR_10, 11), DEBT, HOLD_KNOWN, ()),
    "HoldPlaced until now": Case(
        (10,), DEBT_FOR_10, NO_FUTURE, (10, attrs.evolve(DEBT_FOR_10, until=seconds(10.000001)))
    ),
    "HoldPlaced until past": Case((11,), DEBT_FOR_10, NO_FUTURE, (9, DEBT_FOR_10)),
    "HoldReleased that was never placed": Case((DEBT,), e.HoldReleased("h-2"), NO_HOLD, (DEBT, e.HoldReleased("h-1"))),
    "HoldReleased twice": Case((DEBT, e.HoldReleased("h-1")), e.HoldReleased("h-1"), NO_HOLD, ()),
    "HoldReleased when it ran out": Case(
        (DEBT_FOR_10, 10), e.HoldReleased("h-1"), NO_HOLD, (DEBT_FOR_10, 9, e.HoldReleased("h-1"))
    ),
    "Erased unasked": Case((), e.Erased(), NOT_ERASING, (ERASURE, e.Erased())),
    "Erased on another request": Case(
        (e.RequestFiled("q-1", "access"),),
        e.Erased(),
        NOT_ERASING,
        (ERASURE, e.RequestFiled("q-2", "access"), e.Erased()),
    ),
    "Erased after the request was cancelled": Case(
        (ERASURE, e.RequestResolved("q-1", "cancelled")),
        e.Erased(),
        NOT_ERASING,
        (ERASURE, e.RequestFiled("q-2", "erasure"), e.RequestResolved("q-1", "cancelled"), e.Erased()),
    ),
    "Erased after reopening": Case(
        (e.AccountClosed(), e.AccountOpened()), e.Erased(), NOT_ERASING, (e.AccountClosed(), e.Erased())
    ),
    "Erased under a hold": Case(
        (ERASURE, DEBT), e.Erased(), f"{HELD}h-1", (ERASURE, DEBT, e.HoldReleased("h-1"), e.Erased())
    ),
    "Erased under a hold, closed": Case(
        (DEBT, e.AccountClosed()),
        e.Erased(),
        f"{HELD}h-1",
        (DEBT, e.AccountClosed(), e.HoldReleased("h-1"), e.Erased()),
    ),
    "Erased under a hold that runs out": Case(
        (ERASURE, DEBT_FOR_10, 9), e.Erased(), f"{HELD}h-1", (ERASURE, DEBT_FOR_10, 10, e.Erased())
    ),
    "Erased under several holds": Case(
        (
            ERASURE,
            DEBT,
            attrs.evolve(DEBT, hold="h-2"),
            attrs.evolve(DEBT, hold="h-3"),
            e.HoldReleased("h-2"),
        ),
        e.Erased(),
        f"{HELD}h-1, h-3",
        (),
    ),
    **{
        f"{kind.__name__} {purpose}": Case(
            (), kind(purpose, *rest), f"{purpose} does not stand on consent", (kind("contests", *rest),)
        )
        for kind, rest in ((e.Granted, ("n-1",)), (e.Withdrawn, ()))
        for purpose in Purpose
        if BASIS[purpose] is not Basis.OPT_IN
    },
    **{
        f"{kind.__name__} {purpose}": Case(
            (), kind(purpose), f"{purpose} is a duty: there is no objection to it", (kind("payment"), kind("marketing"))
        )
        for kind in (e.Objected, e.ObjectionLifted)
        for purpose in Purpose
        if BASIS[purpose] is Basis.DUTY
    },
    **{
        f"Published {field}": Case((), e.Published(field), f"{field} is never public", (e.Hidden(field),))
        for field in Field
        if field not in PUBLISHABLE
    },
}


@pytest.mark.parametrize("case", CASES.values(), ids=list(CASES))
def test_refused_with_its_reason(case: Case) -> None:
    """What the policy refuses is refused with the reason, and the record stays as it was."""
    history = opened(*case.before)
    record = history.record
    assert refusal(record, case.refused, history.at) == case.reason
    with pytest.raises(InvalidEvent) as caught:
        history.append(case.refused)
    assert str(caught.value) == case.reason
    assert history.record is record


@pytest.mark.parametrize("case", [pytest.param(case, id=name) for name, case in CASES.items() if case.neighbour])
def test_neighbour_is_accepted(case: Case) -> None:
    """What differs from a refused event in the one point of its row is accepted."""
    events = sum(isinstance(step, e.Event) for step in case.neighbour)
    assert opened(*case.neighbour).record.version == 1 + events


@each_event
def test_erased_user_refuses_every_event(event: e.Event) -> None:
    """Nothing happens to an erased user any more, not even a return."""
    history = opened(*NEEDED, e.HoldReleased("h-1"), e.AccountClosed(), e.Erased())
    assert refusal(history.record, event, history.at) == ERASED_USER


@each_event
def test_unknown_user_refuses_every_event_but_opening_noes_and_requests(event: e.Event) -> None:
    """A user without an account can open one, refuse, and file requests; nothing else."""
    history = History().append(e.RequestFiled("q-1", "erasure"))
    accepted = (
        e.AccountOpened, e.Withdrawn, e.Objected, e.Restricted, e.Hidden,
        e.RequestFiled, e.RequestReplied, e.RequestExtended, e.RequestResolved, e.ErasureConfirmed, e.Erased,
    )  # fmt: skip
    expected = None if isinstance(event, accepted) else NEVER_OPENED
    assert refusal(history.record, event, seconds(0), holders=HOLDERS) == expected


def test_unknown_user_is_erased_only_on_request() -> None:
    """Of who was never opened there is nothing to erase, unless an erasure was asked for."""
    for steps in ((), (e.RequestFiled("q-1", "access"),), (ERASURE, e.RequestResolved("q-1", "cancelled"))):
        history = History().play(*steps)
        assert refusal(history.record, e.Erased(), history.at) == NOT_ERASING
    assert History().append(ERASURE, e.Erased()).record.account is Account.ERASED


@pytest.mark.parametrize("purpose", [purpose for purpose in Purpose if BASIS[purpose] is not Basis.DUTY])
def test_no_of_an_unknown_user_is_checked_as_any(purpose: Purpose) -> None:
    """A no without an account is refused only for its content."""
    record = History().record
    assert refusal(record, e.Objected(purpose), seconds(0)) is None
    expected = None if BASIS[purpose] is Basis.OPT_IN else f"{purpose} does not stand on consent"
    assert refusal(record, e.Withdrawn(purpose), seconds(0)) == expected
    assert refusal(record, e.Restricted(()), seconds(0)) == NO_FIELDS


def many(count: int, *events: e.Event) -> History:
    """An open account to which each of the events happened so often, each time under another id."""
    numbered = {"RequestFiled": "request", "RequestResolved": "request", "Notified": "notice", "HoldPlaced": "hold"}
    history = opened()
    for number in range(count):
        for event in events:
            history.append(attrs.evolve(event, **{numbered[type(event).__name__]: f"m-{number}"}))  # type: ignore[arg-type]
    return history


ASKED = e.RequestFiled("q-1", "access")
RESOLVED = e.RequestResolved("q-1", "cancelled")


@pytest.mark.parametrize("kind", ["access", "rectification", "complaint"])
def test_fifty_requests_are_open_at_once(kind: str) -> None:
    """The fifty-first open request is refused, until one of the fifty is resolved."""
    history = many(49, ASKED)
    filed = e.RequestFiled("q-1", kind)
    assert refusal(history.record, filed, history.at) is None
    history.append(filed)
    filed = e.RequestFiled("q-2", kind)
    assert refusal(history.record, filed, history.at) == TOO_MANY_OPEN
    assert refusal(history.append(RESOLVED).record, filed, history.at) is None


def test_a_thousand_requests_are_all() -> None:
    """The request after a thousand is refused, though all are resolved; a known id is said first."""
    history = many(999, ASKED, RESOLVED)
    assert refusal(history.record, ASKED, history.at) is None
    history.append(ASKED, RESOLVED)
    assert refusal(history.record, e.RequestFiled("q-2", "complaint"), history.at) == TOO_MANY_REQUESTS
    assert refusal(history.record, ASKED, history.at) == REQUEST_KNOWN


@pytest.mark.parametrize(
    ("count", "events", "reason"),
    [(50, (ASKED,), TOO_MANY_OPEN), (1_000, (ASKED, RESOLVED), TOO_MANY_REQUESTS)],
    ids=["open", "all"],
)
def test_erasure_goes_past_the_limits_once(count: int, events: tuple[e.Event, ...], reason: str) -> None:
    """An erasure request is refused for the number of requests only while another one is open."""
    history = many(count, *events)
    record = history.append(ERASURE).record
    assert record.is_erasing()
    assert refusal(record, e.RequestFiled("q-2", "erasure"), history.at) == reason
    assert refusal(record, e.RequestResolved("q-1", "cancelled"), history.at) is None


def test_two_erasures_may_be_open() -> None:
    """Below the limits a second erasure request is one more."""
    assert opened(ERASURE, e.RequestFiled("q-2", "erasure")).record.is_erasing()


def test_a_thousand_notices_are_told() -> None:
    """The notice after a thousand is refused; an earlier one may be repeated and agreed to again."""
    history = many(999, TOLD)
    assert refusal(history.record, TOLD, history.at) is None
    history.append(TOLD)
    assert refusal(history.record, attrs.evolve(TOLD, notice="n-2"), history.at) == TOO_MANY_NOTICES
    for event in (TOLD, e.Agreed("n-1"), e.AgreementWithdrawn("n-1")):
        assert refusal(history.record, event, history.at) is None
    assert refusal(history.record, attrs.evolve(TOLD, data=["email"]), history.at) == OTHER_CONTENT


def test_a_thousand_holds_are_placed() -> None:
    """The hold after a thousand is refused, though all are released."""
    history = many(999, DEBT).append(*[e.HoldReleased(f"m-{number}") for number in range(999)])
    assert refusal(history.record, DEBT, history.at) is None
    history.append(DEBT)
    assert refusal(history.record, attrs.evolve(DEBT, hold="h-2"), history.at) == TOO_MANY_HOLDS
    assert refusal(history.record, DEBT, history.at) == HOLD_KNOWN
    assert refusal(history.record, e.HoldReleased("h-1"), history.at) is None


def test_a_no_is_never_refused_for_its_number() -> None:
    """A user at every limit may still refuse anything, again and again."""
    history = many(1_000, TOLD, DEBT, ASKED, RESOLVED)
    noes = (
        e.Withdrawn("surveys"), e.AgreementWithdrawn("m-7"), e.Objected("payment"), e.Restricted(), e.Hidden("avatar")
    )  # fmt: skip
    for _ in range(3):
        assert history.attempt(*noes)


@each_event
def test_open_account_accepts_every_event_but_opening(event: e.Event) -> None:
    """An open account accepts each event whose other needs are met."""
    is_ending = isinstance(event, (e.ErasureConfirmed, e.Erased))
    history = opened(*([e.RequestFiled("q-9", "erasure")] if is_ending else NEEDED))
    expected = OPEN_ALREADY if isinstance(event, e.AccountOpened) else None
    assert refusal(history.record, event, history.at, holders=HOLDERS) == expected


@each_event
def test_closed_account_accepts_little(event: e.Event) -> None:
    """A closed account accepts opening, every way to say no, hiding, requests, holds and erasure: nothing else."""
    history = opened(*NEEDED, e.AccountClosed())
    if isinstance(event, e.Erased):
        history.append(e.HoldReleased("h-1"))
    yeses = (
        e.AccountClosed, e.Granted, e.Notified, e.Agreed, e.Published, e.ObjectionLifted, e.RestrictionLifted
    )  # fmt: skip
    expected = CLOSED if isinstance(event, yeses) else None
    assert refusal(history.record, event, history.at, holders=HOLDERS) == expected


@pytest.mark.parametrize("purpose", [p for p in Purpose if BASIS[p] is Basis.OPT_IN and p is not Purpose.MARKETING])
def test_no_to_an_opt_in_purpose_is_never_refused(purpose: Purpose) -> None:
    """Saying no works for what was never granted, twice, after it expired, and on a closed account."""
    granted = e.Granted(purpose, "n-1", expires_at=seconds(1))
    for steps in ((), (e.Withdrawn(purpose),), (granted, 1), (granted, e.AccountClosed())):
        history = opened(*steps)
        assert refusal(history.record, e.Withdrawn(purpose), history.at) is None


@pytest.mark.parametrize("channels", [(), ("email",), tuple(Channel)], ids=len)
def test_no_to_marketing_is_never_refused(channels: tuple[str, ...]) -> None:
    """Saying no to marketing works with any channels, and with none."""
    for steps in ((), (e.Granted("marketing", "n-1", ["call"]),), (e.AccountClosed(),)):
        assert opened(*steps, e.Withdrawn("marketing", channels)).record.version == 2 + len(steps)


def test_objection_is_lifted_that_was_never_raised() -> None:
    """Lifting an objection or a restriction that is not there changes nothing, and is no error."""
    before = opened().record
    after = opened(e.ObjectionLifted("surveys"), e.RestrictionLifted(["email"]), e.RestrictionLifted()).record
    assert after == attrs.evolve(before, version=4)


def test_restriction_of_each_field_can_be_lifted_in_part() -> None:
    """A user who restricted every field by name may lift some, because the others stay restricted by name."""
    record = opened(e.Restricted(Field), e.RestrictionLifted(["email"])).record
    assert record.restricted == frozenset(Field) - {Field.EMAIL}


@pytest.mark.parametrize(
    ("batch", "accepted"),
    [
        ((TOLD, e.Agreed("n-1")), True),
        ((e.Agreed("n-1"), TOLD), False),
        ((e.AgreementWithdrawn("n-1"), TOLD), False),
        ((ERASURE, e.Erased()), True),
        ((e.Erased(), ERASURE), False),
        ((e.AccountClosed(), GRANT), False),
        ((GRANT, e.AccountClosed()), True),
        ((e.AccountClosed(), e.AccountOpened(), GRANT), True),
        ((DEBT, e.HoldReleased("h-1")), True),
        ((DEBT, DEBT), False),
        ((ERASURE, ERASURE), False),
        ((e.Restricted(), e.RestrictionLifted(["email"])), False),
    ],
    ids=lambda value: " ".join(type(event).__name__ for event in value) if isinstance(value, tuple) else "",
)
def test_each_event_of_a_batch_is_judged_after_those_before(batch: tuple[e.Event, ...], accepted: bool) -> None:
    """A batch is taken as if its events came one by one, and if one is refused, none is written."""
    history = opened()
    assert history.attempt(*batch) is accepted
    assert history.record.version == len(history.entries) == (1 + len(batch) if accepted else 1)


@pytest.mark.parametrize("outcome", Outcome)
def test_requests_that_are_no_erasure_end_in_any_way(outcome: Outcome) -> None:
    """Only an erasure cannot be resolved as fulfilled."""
    for kind in ("access", "rectification", "complaint"):
        history = opened(e.RequestFiled("q-1", kind))
        assert refusal(history.record, e.RequestResolved("q-1", outcome, "not-yours"), history.at) is None


@pytest.mark.parametrize("outcome", [Outcome.REFUSED, Outcome.CANCELLED])
def test_erasure_can_be_refused_and_cancelled(outcome: Outcome) -> None:
    """An erasure that is not carried out ends as refused or cancelled, and is pending no more."""
    record = opened(ERASURE, e.RequestResolved("q-1", outcome, "not-yours")).record
    assert record.account is Account.OPEN
    assert not record.is_erasing()


def test_first_reason_is_told() -> None:
    """An event with several faults is refused for where the account stands first."""
    faulty = e.Notified("n-1", "acme-records", (), "marketing")
    assert refusal(History().record, faulty, seconds(0)) == NEVER_OPENED
    assert refusal(opened(e.AccountClosed()).record, faulty, seconds(0)) == CLOSED
    assert refusal(opened(TOLD).record, faulty, seconds(0)) == NO_FIELDS


def test_a_reason_names_no_thousand_ids() -> None:
    """Names as many as a service repeats, then counts: a thousand refusals in one call would name a million."""
    holds = [f"h-{number:0254}" for number in range(1000)]
    history = opened(ERASURE, *(attrs.evolve(DEBT, hold=hold) for hold in holds))
    assert refusal(history.record, e.Erased(), history.at) == f"{HELD}{', '.join(holds[:3])} and 997 more"
    assert list_ids([]) == ""
    assert list_ids(["x" * 248] * 4) == ", ".join(["x" * 248] * 4)  # 1,000 characters with the separators
    registered = HolderRegistry(dict.fromkeys(holds, seconds(0)))
    done = opened(ERASURE)
    reason = refusal(done.record, e.Erased(), done.at, holders=registered)
    assert reason is not None
    assert reason.endswith(f": {', '.join(holds[:3])} and 997 more")

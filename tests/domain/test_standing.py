"""What holds for the standing of every record, in every view."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diijam_consent_sdk import events as e
from diijam_consent_sdk.decisions import NOT_ENTITLED, Ask, Market, Process, Retain, Share, Show, decide, scope_of
from diijam_consent_sdk.policy import PUBLISHABLE
from diijam_consent_sdk.record import ConsentRecord, unopened
from diijam_consent_sdk.standing import EVERY_ASK, AskScope, Standing, View, standing_of, view_from, view_names
from diijam_consent_sdk.stores.standings import decode_standing, encode_standing
from diijam_consent_sdk.stores.wire import Malformed
from diijam_consent_sdk.vocabulary import Account, Channel, Field, HoldKind, Purpose, RequestKind
from tests import strategies
from tests.strategies import START, asks

from .history import History

many = settings(max_examples=100)
WAITS = [timedelta(), timedelta(seconds=1), timedelta(seconds=7), timedelta(days=400_000)]

Dated = tuple[ConsentRecord, datetime]

views = st.frozensets(st.sampled_from(AskScope))


def dated_records() -> st.SearchStrategy[Dated]:
    """Any record, and an instant at or after its last event."""

    def played(moves: list[tuple[int, e.Event]], wait: int) -> Dated:
        history = History()
        for seconds, event in moves:
            history.tick(seconds).attempt(event)
        return history.record, history.tick(wait).at

    return st.builds(played, strategies.moves(), st.integers(0, 20))


@many
@given(dated_records(), st.lists(asks(), max_size=8))
def test_a_standing_answers_as_its_record(dated: Dated, some: list[Ask]) -> None:
    """For every ask, at every instant from the one for which the standing was made, in memory and read from JSON."""
    record, at = dated
    standing = standing_of(record, at)
    decoded = decode_standing(encode_standing(standing), EVERY_ASK)
    assert decoded == standing
    for when in [at + wait for wait in WAITS]:
        for ask in (*strategies.EVERY_ASK, *some):
            assert decide(decoded, ask, when) is decide(record, ask, when)


@many
@given(dated_records(), views, views, st.lists(asks(), max_size=8))
def test_a_view_answers_its_asks_alone(dated: Dated, view: View, other: View, some: list[Ask]) -> None:
    """Within a view every answer is the whole standing's, outside it `NOT_ENTITLED`; two views intersect."""
    record, at = dated
    standing = standing_of(record, at).narrowed(view)
    decoded = decode_standing(encode_standing(standing), view)
    for when in [at + wait for wait in WAITS]:
        for ask in (*strategies.EVERY_ASK, *some):
            expected = decide(record, ask, when) if scope_of(ask) in view else NOT_ENTITLED
            assert decide(decoded, ask, when) is expected
    assert decoded.narrowed(other) == standing_of(record, at).narrowed(view & other)


@many
@given(dated_records())
def test_a_standing_holds_only_ends_that_are_to_come(dated: Dated) -> None:
    """Its answers stay what they are until the first end that it holds, and that end lies ahead."""
    record, at = dated
    standing = standing_of(record, at)
    end = standing.next_change_at
    assert end is None or end > at
    until = at + timedelta(days=400_000) if end is None else end - timedelta(microseconds=1)
    for ask in strategies.EVERY_ASK:
        assert decide(standing, ask, until) is decide(record, ask, at)


@many
@given(dated_records(), st.sampled_from(AskScope))
def test_a_view_shows_nothing_beside_its_asks(dated: Dated, scope: AskScope) -> None:
    """Standings that differ only in what the asks of a scope do not need have the same bytes in its view."""
    record, at = dated
    view = frozenset({scope})
    standing = standing_of(record, at)
    of_scope: dict[AskScope, dict[str, Any]] = {
        AskScope.MARKETING: {"published": frozenset(), "sharings": frozenset(), "holds": frozenset()},
        AskScope.PROFILE: {"consents": {}, "sharings": frozenset(), "objected": frozenset(), "holds": frozenset()},
        AskScope.SHARING: {"consents": {}, "published": frozenset(), "holds": frozenset(), "requests": frozenset()},
        AskScope.ANALYTICS: {"published": frozenset(), "sharings": frozenset(), "requests": frozenset()},
        AskScope.RETENTION: {
            "restricted": frozenset(),
            "all_restricted": False,
            "consents": {},
            "objected": frozenset(),
        },
    }
    other = attrs.evolve(standing, **of_scope[scope])
    assert encode_standing(other.narrowed(view)) == encode_standing(standing.narrowed(view))


def of(*events: e.Event) -> Standing:
    """The standing of a user with these events."""
    history = History()
    for event in events:
        history.attempt(event)
    return standing_of(history.record, history.at)


OPENED = e.AccountOpened()


def test_a_standing_names_no_notice_hold_or_request() -> None:
    """No id, time of the past or origin is in its bytes."""
    shared = e.Notified("n-secret", "acme-records", {Field.EMAIL}, Purpose.MARKETING)
    data = encode_standing(
        of(
            OPENED, shared, e.Agreed("n-secret"), e.Granted(Purpose.SURVEYS, "n-secret"),
            e.HoldPlaced("h-secret", HoldKind.DEBT, {Field.PAYMENT}), e.RequestFiled("q-secret", RequestKind.COMPLAINT),
        )
    )  # fmt: skip
    assert b"acme-records" in data
    assert b"secret" not in data
    assert b"2026" not in data


@pytest.mark.parametrize(
    ("scope", "shown"),
    [
        (AskScope.MARKETING, {"consents"}),
        (AskScope.PROFILE, {"published"}),
        (AskScope.SHARING, {"sharings"}),
        (AskScope.ANALYTICS, {"consents"}),
        (AskScope.RETENTION, {"holds", "requests"}),
    ],
)
def test_a_scope_shows_its_parts(scope: AskScope, shown: set[str]) -> None:
    """Of a user who chose everything there is to choose, each scope shows the parts that its asks need."""
    standing = of(
        OPENED, e.Granted(Purpose.SURVEYS, "n-1"), e.Granted(Purpose.MARKETING, "n-1", {Channel.EMAIL}),
        e.Notified("n-1", "acme-records", {Field.EMAIL}, Purpose.MARKETING), e.Published(min(PUBLISHABLE)),
        e.HoldPlaced("h-1", HoldKind.DEBT, {Field.PAYMENT}), e.RequestFiled("q-1", RequestKind.COMPLAINT),
    ).narrowed(frozenset({scope}))  # fmt: skip
    parts = ("consents", "published", "sharings", "holds", "requests", "restricted", "objected")
    assert {part for part in parts if getattr(standing, part)} == shown
    assert len(standing.consents) <= 1


@pytest.mark.parametrize("end", [e.AccountClosed(), e.RequestFiled("q-1", RequestKind.ERASURE), e.Restricted()])
def test_nothing_is_kept_that_counts_no_more(end: e.Event) -> None:
    """Once an account is closed or all data restricted, or an erasure asked for, the user's choices are left out."""
    said = (e.Granted(Purpose.SURVEYS, "n-1"), e.Published(min(PUBLISHABLE)), e.Objected(Purpose.PAYMENT))
    standing = of(OPENED, *said, end)
    assert {*standing.consents, *standing.published, *standing.objected} == set()


def test_of_an_unknown_user_nothing_is_kept() -> None:
    """A no before there is an account is in the record, not in the standing: every answer is `UNKNOWN_USER`."""
    assert of(e.Objected(Purpose.PAYMENT), e.Restricted()) == standing_of(unopened("u-1"), START)


@pytest.mark.parametrize(
    ("ask", "scope"),
    [
        (Market(Channel.EMAIL), "ask:marketing"),
        (Show(Field.AVATAR), "ask:profile"),
        (Share("acme-records", {Field.EMAIL}, Purpose.PAYMENT), "ask:sharing"),
        (Process(Purpose.SURVEYS), "ask:analytics"),
        (Process(Purpose.SERVICE_OPERATION), "ask:analytics"),
        (Process(Purpose.DEBT_SETTLEMENT), "ask:retention"),
        (Process(Purpose.RIGHTS_HANDLING), "ask:retention"),
        (Retain(Field.EMAIL), "ask:retention"),
    ],
)
def test_each_ask_has_a_scope(ask: Ask, scope: str) -> None:
    """The table of the policy's views."""
    assert scope_of(ask) == scope


@pytest.mark.parametrize(
    ("names", "view"),
    [
        (["ask"], EVERY_ASK),
        (["ask", "ask:marketing"], EVERY_ASK),
        (["ask:sharing", "ask:profile"], frozenset({AskScope.SHARING, AskScope.PROFILE})),
        ([], frozenset()),
    ],
)
def test_scopes_add_up_to_a_view(names: list[str], view: View) -> None:
    """`ask` is every ask; several scopes add up, and the view's names give the view again."""
    assert view_from(names) == view
    assert view_from(view_names(view)) == view


def test_another_name_is_no_view() -> None:
    """A scope of another kind is refused."""
    with pytest.raises(ValueError, match="write"):
        view_from(["write"])


OPEN = encode_standing(of(OPENED))


@pytest.mark.parametrize(
    ("there", "instead"),
    [
        (b'"consents":{}', b'"consents":{"payment":["consented",null]}'),
        (b'"consents":{}', b'"consents":{"marketing":["consented",null]}'),
        (b'"consents":{}', b'"consents":{"surveys":["agreed",null]}'),
        (b'"consents":{}', b'"consents":{"surveys":["not_consented",null]}'),
        (b'"consents":{}', b'"consents":{"surveys":["withdrawn","2030-01-01T00:00:00Z"]}'),
        (b'"consents":{}', b'"consents":{"surveys":["consented","2030-01-01T00:00:00"]}'),
        (b'"holds":[]', b'"holds":[["debt",["email"],"2030-01-01T00:00:00"]]'),
        (b'"sharings":[]', b'"sharings":[["acme","payment",["email"],"consented",null]]'),
        (b'"restricted":[]', b'"restricted":["shoe_size"]'),
        (b'"restricted":[]', b'"restricted":[],"restricted":["email"]'),
        (b'"restricted":[],', b""),
        (b'"restricted":[],', b'"restricted":[],"more":1,'),
        (b'"account":"open"', b'"account":"ajar"'),
        (b"{", b"["),
    ],
)
def test_what_is_no_standing_is_refused(there: bytes, instead: bytes) -> None:
    """Bytes that lack a part, name an unknown one, or say what no record can say are malformed."""
    assert there in OPEN
    with pytest.raises(Malformed):
        decode_standing(OPEN.replace(there, instead, 1), EVERY_ASK)


def test_a_standing_is_bounded() -> None:
    """More bytes than any record's standing has are refused before they are read."""
    with pytest.raises(Malformed, match="too long"):
        decode_standing(b" " * 5_000_000, EVERY_ASK)


def test_an_erased_user_is_erased() -> None:
    """Nothing but the account is left."""
    standing = of(OPENED, e.RequestFiled("q-1", RequestKind.ERASURE), e.Erased())
    assert standing == attrs.evolve(standing_of(unopened("u-1"), START), account=Account.ERASED)

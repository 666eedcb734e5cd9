"""What leaves the service is what a token's asks need: narrowed bytes answer these asks, and show nothing else."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diijam_consent_sdk import events as e
from diijam_consent_sdk.decisions import NOT_ENTITLED, Ask, decide, scope_of
from diijam_consent_sdk.errors import StoreUnusable
from diijam_consent_sdk.policy import BASIS, PUBLISHABLE, Basis
from diijam_consent_sdk.record import ConsentRecord
from diijam_consent_sdk.service import views
from diijam_consent_sdk.service.scopes import ASKS, Scope, view_of
from diijam_consent_sdk.service.views import narrow
from diijam_consent_sdk.standing import EVERY_ASK, AskScope, View, standing_of
from diijam_consent_sdk.stores.standings import decode_standing, encode_standing
from diijam_consent_sdk.vocabulary import Channel, Field, HoldKind, Purpose, RequestKind
from tests import strategies
from tests.domain.history import History

many = settings(max_examples=100)
some_views = st.frozensets(st.sampled_from(AskScope))
WAITS = [timedelta(), timedelta(seconds=7), timedelta(days=400_000)]
DATA = {Field.EMAIL, Field.USERNAME}
ANALYTICS = [purpose for purpose in Purpose if BASIS[purpose] is Basis.OPT_IN and purpose is not Purpose.MARKETING]

# What a user may do that no ask of another scope rests on.
OF_SCOPE: dict[AskScope, list[e.Event]] = {
    AskScope.MARKETING: [
        e.Granted(Purpose.MARKETING, "n-1", set(Channel)), e.Withdrawn(Purpose.MARKETING, {Channel.CALL}),
    ],
    AskScope.PROFILE: [*map(e.Published, sorted(PUBLISHABLE)), e.Hidden(min(PUBLISHABLE))],
    AskScope.SHARING: [
        e.Notified("n-2", "acme-records", DATA, Purpose.SURVEYS), e.Agreed("n-2"), e.AgreementWithdrawn("n-2"),
        e.Objected(Purpose.PAYMENT), e.Objected(Purpose.MARKETING), e.Objected(Purpose.SURVEYS),
    ],
    AskScope.ANALYTICS: [
        *(e.Granted(purpose, "n-3") for purpose in ANALYTICS),
        e.Withdrawn(Purpose.SURVEYS), e.Objected(Purpose.PAYMENT), e.Objected(Purpose.SURVEYS),
    ],
    AskScope.RETENTION: [
        e.HoldPlaced("h-1", HoldKind.DEBT, DATA), e.HoldPlaced("h-2", HoldKind.TAX, {Field.PAYMENT}),
        e.HoldReleased("h-1"), e.RequestFiled("q-1", RequestKind.COMPLAINT), e.RequestFiled("q-2", RequestKind.ACCESS),
    ],
}  # fmt: skip
# Objections count for sharing whatever their purpose is, and for the asks about this purpose.
ALSO = {Purpose.MARKETING: AskScope.MARKETING, Purpose.PAYMENT: AskScope.ANALYTICS, Purpose.SURVEYS: AskScope.ANALYTICS}


def outside(view: View) -> list[e.Event]:
    """What a user may do that no ask of a view rests on."""
    found = [event for scope in AskScope if scope not in view for event in OF_SCOPE[scope]]
    return [
        event
        for event in found
        if not isinstance(event, e.Objected) or view.isdisjoint({AskScope.SHARING, ALSO[event.purpose]})
    ]


@st.composite
def histories(draw: st.DrawFn) -> History:
    """Whatever a user did."""
    history = History()
    for seconds, event in draw(strategies.moves()):
        history.tick(seconds).attempt(event)
    return history


def whole(record: ConsentRecord, at: datetime) -> bytes:
    """The bytes that a store keeps."""
    return encode_standing(standing_of(record, at))


@many
@given(histories(), some_views, some_views, st.lists(strategies.asks(), max_size=8))
def test_narrowed_bytes_answer_the_asks_of_a_view_alone(
    history: History, view: View, other: View, some: list[Ask]
) -> None:
    """Within the view they answer as the record, outside with `NOT_ENTITLED`; through a relay views intersect."""
    data = whole(history.record, history.at)
    narrowed = narrow(data, EVERY_ASK, view)
    standing = decode_standing(narrowed, view)
    for when in [history.at + wait for wait in WAITS]:
        for ask in (*strategies.EVERY_ASK, *some):
            expected = decide(history.record, ask, when) if scope_of(ask) in view else NOT_ENTITLED
            assert decide(standing, ask, when) is expected
    assert narrow(narrowed, view, view & other) == narrow(data, EVERY_ASK, view & other)


@many
@given(histories(), some_views, st.data())
def test_what_is_outside_of_a_view_is_not_in_the_bytes(history: History, view: View, data: st.DataObject) -> None:
    """Records that differ only in what no ask of the view rests on give the same bytes."""
    before = whole(history.record, history.at)
    for event in data.draw(st.lists(st.sampled_from(outside(view)), max_size=12)) if outside(view) else []:
        history.attempt(event)
    assert narrow(whole(history.record, history.at), EVERY_ASK, view) == narrow(before, EVERY_ASK, view)


def test_every_scope_has_something_of_its_own() -> None:
    """Each event above changes the bytes of its scope, so that the test before compares something."""
    for scope, done in OF_SCOPE.items():
        view = frozenset({scope})
        history = History().append(e.AccountOpened())
        seen = {narrow(whole(history.record, history.at), EVERY_ASK, view)}
        for event in done:
            if history.attempt(event):
                seen.add(narrow(whole(history.record, history.at), EVERY_ASK, view))
        assert len(seen) > 2, scope


@pytest.mark.parametrize("view", [EVERY_ASK, frozenset({AskScope.PROFILE})])
def test_what_needs_no_narrowing_is_passed_on_unread(view: View) -> None:
    """Where the token's view leaves out nothing of what there is, the bytes are the store's own."""
    data = b"whatever the store holds"
    assert narrow(data, frozenset({AskScope.PROFILE}), view) is data


def test_a_standing_that_cannot_be_read_is_the_store_s_fault() -> None:
    """Damaged bytes are an error of the store, not of the question."""
    with pytest.raises(StoreUnusable, match="look at the store"):
        narrow(b'{"account":"open"}', EVERY_ASK, frozenset({AskScope.PROFILE}))


def test_narrowed_standings_are_kept_in_bounds() -> None:
    """A standing is narrowed once for each view, and large ones are not kept."""
    history = History().append(e.AccountOpened())
    views._narrowed.cache_clear()
    view = frozenset({AskScope.SHARING})
    data = whole(history.record, history.at)
    assert narrow(data, EVERY_ASK, view) is narrow(bytes(bytearray(data)), EVERY_ASK, view)
    assert views._narrowed.cache_info().currsize == 1
    for number in range(40):
        history.append(e.Notified(f"n-{number}", f"recipient-{number}", DATA, Purpose.SURVEYS))
    large = whole(history.record, history.at)
    assert len(large) > views.MAX_KEPT_BYTES
    assert narrow(large, EVERY_ASK, view) == large
    assert views._narrowed.cache_info().currsize == 1


@pytest.mark.parametrize(
    ("scopes", "view"),
    [
        (ASKS, EVERY_ASK),
        ({Scope.ASK, Scope.READ}, EVERY_ASK),
        ({Scope.ASK_MARKETING, Scope.WRITE}, {AskScope.MARKETING}),
        ({Scope.ASK_SHARING, Scope.ASK_RETENTION, Scope.LIST}, {AskScope.SHARING, AskScope.RETENTION}),
        ({Scope.READ, Scope.WRITE, Scope.LIST}, frozenset()),
    ],
)
def test_a_view_is_what_the_ask_scopes_add_up_to(scopes: Iterable[Scope], view: View) -> None:
    """The other scopes of a token show nothing of a standing."""
    assert view_of(frozenset(scopes)) == view

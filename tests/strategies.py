"""
Hypothesis strategies that the tests share. Ids, fields and instants come from pools so small that events meet:
the same notice is told and agreed to, a hold runs out just as somebody asks.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import strategies as st

from diijam_consent_sdk import events as e
from diijam_consent_sdk.decisions import Ask, Market, Process, Retain, Share, Show
from diijam_consent_sdk.vocabulary import Channel, Field, HoldKind, Origin, Outcome, Purpose, RequestKind

START = datetime(2026, 3, 1, tzinfo=UTC)
SPAN_SECONDS = 60

NOTICES = ("n-1", "n-2", "n-3")
RECIPIENTS = ("acme-records", "bolt-ads")
REQUESTS = ("q-1", "q-2", "q-3")
HOLDS = ("h-1", "h-2", "h-3")
COMMON_FIELDS = (Field.EMAIL, Field.PHONE, Field.DEVICE, Field.USERNAME)
COMMON_PURPOSES = (Purpose.MARKETING, Purpose.SURVEYS, Purpose.PAYMENT, Purpose.LEGAL_OBLIGATION)


def instants() -> st.SearchStrategy[datetime]:
    """Whole seconds of the minute after `START`."""
    return st.integers(0, SPAN_SECONDS).map(lambda seconds: START + timedelta(seconds=seconds))


def purposes() -> st.SearchStrategy[Purpose]:
    """Any purpose, some of them often."""
    return st.sampled_from(COMMON_PURPOSES) | st.sampled_from(Purpose)


def data_sets(min_size: int = 1) -> st.SearchStrategy[frozenset[Field]]:
    """A few common fields, any one field, or all there are."""
    common = st.frozensets(st.sampled_from(COMMON_FIELDS), min_size=min_size)
    return common | st.sampled_from(Field).map(lambda field: frozenset({field})) | st.just(frozenset(Field))


def channel_sets() -> st.SearchStrategy[frozenset[Channel]]:
    """Any set of channels, the empty one as well."""
    return st.frozensets(st.sampled_from(Channel))


def _yes_or_no() -> tuple[st.SearchStrategy[e.Event], ...]:
    ends, purpose, notice = st.none() | instants(), purposes(), st.sampled_from(NOTICES)
    marketing = st.just(Purpose.MARKETING)
    return (
        st.builds(e.Granted, purpose, notice, expires_at=ends),
        st.builds(e.Granted, marketing, notice, channel_sets(), ends),
        st.builds(e.Withdrawn, purpose),
        st.builds(e.Withdrawn, marketing, channel_sets()),
        st.builds(e.Notified, notice, st.sampled_from(RECIPIENTS), data_sets(), purpose),
        st.builds(e.Agreed, notice, ends),
        st.builds(e.Agreed, notice, ends),
        st.builds(e.AgreementWithdrawn, notice),
    )


def taking_away() -> st.SearchStrategy[e.Event]:
    """An event by which a customer says no, or leaves."""
    marketing = st.builds(e.Withdrawn, st.just(Purpose.MARKETING), channel_sets())
    return st.one_of(
        st.builds(e.Withdrawn, purposes()),
        marketing,
        st.builds(e.AgreementWithdrawn, st.sampled_from(NOTICES)),
        st.builds(e.Objected, purposes()),
        st.builds(e.Restricted, st.none() | data_sets()),
        st.builds(e.Hidden, st.sampled_from(Field)),
        st.just(e.AccountClosed()),
    )


def events() -> st.SearchStrategy[e.Event]:
    """Any event, also one that the policy refuses wherever it comes."""
    field, purpose, request, hold = (
        st.sampled_from(pool) for pool in (tuple(Field), tuple(Purpose), REQUESTS, HOLDS)
    )  # fmt: skip
    maybe_data = st.none() | data_sets(min_size=0)
    return st.one_of(
        *_yes_or_no(),
        st.builds(e.AccountOpened, st.sampled_from(Origin)),
        st.just(e.AccountClosed()),
        st.builds(e.Objected, purpose),
        st.builds(e.ObjectionLifted, purpose),
        st.builds(e.Restricted, maybe_data),
        st.builds(e.RestrictionLifted, maybe_data),
        st.builds(e.Published, field),
        st.builds(e.Hidden, field),
        st.builds(e.RequestFiled, request, st.sampled_from(RequestKind)),
        st.builds(e.RequestResolved, request, st.sampled_from(Outcome)),
        st.builds(e.HoldPlaced, hold, st.sampled_from(HoldKind), data_sets(min_size=0), st.none() | instants()),
        st.builds(e.HoldReleased, hold),
        st.builds(e.Erased, st.booleans()),
    )


def moves() -> st.SearchStrategy[list[tuple[int, e.Event]]]:
    """What somebody tries on one user: seconds to wait, then an event. Most begin with an opened account."""
    opening: st.SearchStrategy[list[tuple[int, e.Event]]] = st.just([(0, e.AccountOpened())])
    rest = st.lists(st.tuples(st.integers(0, 4), events()), min_size=8, max_size=30)
    return st.builds(list.__add__, opening | opening | opening | st.just([]), rest)


def asks() -> st.SearchStrategy[Ask]:
    """Any ask."""
    field = st.sampled_from(Field)
    aims = purposes().filter(lambda purpose: purpose is not Purpose.MARKETING)
    recipient = st.sampled_from((*RECIPIENTS, "never-heard-of"))
    return st.one_of(
        st.builds(Process, aims, st.none() | data_sets(min_size=0)),
        st.builds(Market, st.sampled_from(Channel), data_sets(min_size=0)),
        st.builds(Share, recipient, data_sets(), purposes()),
        st.builds(Show, field),
        st.builds(Retain, field),
    )


SOME_DATA = (
    frozenset({Field.EMAIL}),
    frozenset({Field.PHONE}),
    frozenset({Field.USERNAME, Field.EMAIL}),
    frozenset(Field),
)

# Every ask over the data sets above and none at all: few enough to put all of them to each random record.
EVERY_ASK: tuple[Ask, ...] = (
    *(Process(p, data) for p in Purpose if p is not Purpose.MARKETING for data in (None, frozenset[Field](), *SOME_DATA)),
    *(Market(channel, data) for channel in Channel for data in (frozenset[Field](), *SOME_DATA)),
    *(Share(r, data, p) for r in (*RECIPIENTS, "never-heard-of") for data in SOME_DATA for p in Purpose),
    *map(Show, Field),
    *map(Retain, Field),
)

"""
Hypothesis strategies for events, asks and records. They need the extra `testing`.

Ids, fields and instants come from small pools, so that events meet: the same notice is shown and agreed to, or a hold
ends at the instant of an ask. All events lie within `SPAN_SECONDS` after `START`, so ask within `instants()`.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import cycle

from .._extras import needs_extra

with needs_extra("the module strategies", "testing", "hypothesis"):
    from hypothesis import strategies as st

from .. import events as e
from ..decisions import Ask, Market, Process, Retain, Share, Show
from ..holders import NO_HOLDERS, HolderRegistry
from ..policy import BASIS, PUBLISHABLE, Basis
from ..record import ConsentRecord, fold, refusal, unopened
from ..vocabulary import Channel, Field, HoldKind, Method, Origin, Outcome, Purpose, RequestKind

START = datetime(2026, 3, 1, tzinfo=UTC)
SPAN_SECONDS = 30

NOTICES = ("n-1", "n-2")
RECIPIENTS = ("acme-records", "bolt-ads")
REQUESTS = ("q-1", "q-2", "q-3")
HOLDS = ("h-1", "h-2", "h-3")
HOLDERS = ("mailer", "warehouse")
REASONS = ("not-yours", "archive")
COMMON_FIELDS = (Field.EMAIL, Field.PHONE, Field.DEVICE, Field.USERNAME)
OPT_IN = tuple(purpose for purpose, basis in BASIS.items() if basis is Basis.OPT_IN)
COMMON_PURPOSES = (Purpose.MARKETING, Purpose.SURVEYS, Purpose.PAYMENT, Purpose.LEGAL_OBLIGATION)


def instants(first: int = 0) -> st.SearchStrategy[datetime]:
    """Whole seconds of the half minute after `START`."""
    return st.integers(first, SPAN_SECONDS).map(lambda seconds: START + timedelta(seconds=seconds))


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


def ends() -> st.SearchStrategy[datetime | None]:
    """Ends of what holds, an instant or None for good."""
    return st.none() | instants(first=8)


def saying_yes() -> st.SearchStrategy[e.Event]:
    """An event that allows something, or notifies of a sharing to agree to."""
    notice, marketing = st.sampled_from(NOTICES), st.just(Purpose.MARKETING)
    recipient = st.sampled_from(RECIPIENTS)
    return st.one_of(
        st.builds(e.Notified, notice, recipient, data_sets(), purposes()),
        st.builds(e.Agreed, notice, ends()),
        st.builds(e.Granted, st.sampled_from(OPT_IN), notice, expires_at=ends()),
        st.builds(e.Granted, marketing, notice, channel_sets(), ends()),
        st.builds(e.Published, st.sampled_from(sorted(PUBLISHABLE))),
    )


def saying_no() -> st.SearchStrategy[e.Event]:
    """An event that takes permission away, or closes the account."""
    return st.one_of(
        st.builds(e.Withdrawn, purposes()),
        st.builds(e.Withdrawn, st.just(Purpose.MARKETING), channel_sets()),
        st.builds(e.AgreementWithdrawn, st.sampled_from(NOTICES)),
        st.builds(e.Objected, purposes()),
        st.builds(e.Restricted, st.none() | data_sets()),
        st.builds(e.Hidden, st.sampled_from(Field)),
        st.just(e.AccountClosed()),
    )


def keeping() -> st.SearchStrategy[e.Event]:
    """An event of a hold or a request."""
    request, hold, reason = st.sampled_from(REQUESTS), st.sampled_from(HOLDS), st.sampled_from(REASONS)
    return st.one_of(
        st.builds(e.HoldPlaced, hold, st.sampled_from(HoldKind), data_sets(min_size=0), ends()),
        st.builds(e.HoldReleased, hold),
        st.builds(e.RequestFiled, request, st.sampled_from(RequestKind), st.booleans(), st.none() | instants()),
        st.builds(e.RequestReplied, request),
        st.builds(e.RequestExtended, request, reason),
        st.builds(e.RequestResolved, request, st.sampled_from(Outcome), st.none() | reason),
    )


def events() -> st.SearchStrategy[e.Event]:
    """Any event, also one that the policy refuses wherever it comes."""
    purpose, field = st.sampled_from(Purpose), st.sampled_from(Field)
    rest = st.one_of(
        st.builds(e.AccountOpened, st.sampled_from(Origin)),
        st.builds(e.Granted, purpose, st.sampled_from(NOTICES), channel_sets(), ends()),
        st.builds(e.Withdrawn, purpose, channel_sets()),
        st.builds(e.Objected, purpose),
        st.builds(e.ObjectionLifted, purpose),
        st.builds(e.Restricted, data_sets(min_size=0)),
        st.builds(e.RestrictionLifted, st.none() | data_sets(min_size=0)),
        st.builds(e.Published, field),
        st.builds(e.ErasureConfirmed, st.sampled_from(HOLDERS)),
        st.builds(e.Erased, st.booleans()),
    )
    kinds = [saying_yes(), saying_no(), keeping(), rest]
    return st.sampled_from(kinds).flatmap(lambda kind: kind)


def provenances() -> st.SearchStrategy[e.Provenance]:
    """How an event was said: mostly nothing is known of it, some were imported, around `START` and before."""
    evidence, language = st.none() | st.just("form-7"), st.sampled_from((None, "vi", "en-GB"))
    said_here = st.sampled_from([None, *(method for method in Method if method is not Method.IMPORT)])
    said_at = st.integers(-SPAN_SECONDS, SPAN_SECONDS).map(lambda seconds: START + timedelta(seconds=seconds))
    here = st.builds(e.Provenance, st.none() | st.just("web-shop"), said_here, evidence, language)
    imported = st.builds(e.Provenance, st.none(), st.just(Method.IMPORT), evidence, language, said_at)
    return st.one_of(st.just(e.NO_PROVENANCE), here, imported)


def moves() -> st.SearchStrategy[list[tuple[int, e.Event]]]:
    """
    Events that are tried on one user, each after seconds to wait. Most open an account and say yes to much; some say no
    before there is an account.
    """
    waits = st.integers(0, 2)
    opened = [(0, e.AccountOpened())]
    early = st.lists(st.tuples(waits, saying_no() | keeping()), max_size=4).map(lambda said: [*said, *opened])
    opening = st.one_of(*[st.just(opened)] * 7, early, early, st.just([]))
    yeses = st.lists(st.tuples(waits, saying_yes()), min_size=3, max_size=8)
    rest = st.lists(st.tuples(waits, events()), min_size=6, max_size=16)
    return st.tuples(opening, yeses, rest).map(lambda parts: [*parts[0], *parts[1], *parts[2]])


def holder_registries() -> st.SearchStrategy[HolderRegistry]:
    """Some of `HOLDERS`, each registered at an instant."""
    return st.just(NO_HOLDERS) | st.builds(HolderRegistry, st.dictionaries(st.sampled_from(HOLDERS), instants()))


def records(user_id: str = "u-1") -> st.SearchStrategy[ConsentRecord]:
    """Any record that the policy allows: the fold of the `moves` that it accepts."""

    def played(tried: list[tuple[int, e.Event]], said: list[e.Provenance], holders: HolderRegistry) -> ConsentRecord:
        record, at = unopened(user_id), START
        for (wait, event), provenance in zip(tried, cycle(said), strict=False):
            at += timedelta(seconds=wait)
            if refusal(record, event, at, provenance=provenance, holders=holders) is None:
                version = record.version + 1
                record = fold(record, e.LedgerEntry(version, user_id, version, at, event, provenance))
        return record

    return st.builds(played, moves(), st.lists(provenances(), min_size=1, max_size=8), holder_registries())


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

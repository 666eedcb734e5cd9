"""An import never overrules: where an imported yes is refused, and that no answer depends on who said what how."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diijam_consent_sdk import events as e
from diijam_consent_sdk.decisions import Ask, Market, Process, Share, Show, decide, explain
from diijam_consent_sdk.errors import InvalidEvent
from diijam_consent_sdk.record import ConsentRecord, refusal
from diijam_consent_sdk.standing import standing_of
from diijam_consent_sdk.vocabulary import Channel, Field, Method, Purpose
from tests import strategies

from .history import History, opened, seconds
from .samples import EACH_EVENT

EARLY, LATE = (e.Provenance(method="import", said_at=seconds(-9 * days)) for days in (200, 100))
TOLD = e.Notified("n-1", "acme-records", ["email"], "marketing")
BY_EMAIL = e.Granted("marketing", "n-1", ["email"])
SURVEYS = e.Granted("surveys", "n-1")
AGREED = e.Agreed("n-1")
AVATAR = e.Published("avatar")
HERE = "the customer's own word on {0} is on record, and an import never overrules it: leave {0} out"
NO_EARLIER = "a word on {0} of the same time or later was imported already: leave {0} out of this import"
FUTURE = "said_at is in the future: give the time at which the customer said it"

# By the thing: a yes to it, a no to it, and a yes to what is another thing.
THINGS: dict[str, tuple[e.Event, e.Event, e.Event]] = {
    "surveys": (SURVEYS, e.Withdrawn("surveys"), e.Granted("contests", "n-1")),
    "marketing over email": (BY_EMAIL, e.Withdrawn("marketing", ["email"]), e.Granted("marketing", "n-1", ["call"])),
    "this notice": (AGREED, e.AgreementWithdrawn("n-1"), e.Agreed("n-2")),
    "the publication of avatar": (AVATAR, e.Hidden("avatar"), e.Published("username")),
}
each_thing = pytest.mark.parametrize(
    ("thing", "yes", "no", "other"), [(thing, *said) for thing, said in THINGS.items()], ids=list(THINGS)
)


def told() -> History:
    """An open account whose user knows of two sharings."""
    return opened(TOLD, attrs.evolve(TOLD, notice="n-2"))


def refused(history: History, event: e.Event, provenance: e.Provenance) -> str | None:
    """The reason for which the event is refused now."""
    return refusal(history.record, event, history.at, provenance=provenance)


@each_thing
def test_an_imported_yes_is_refused_where_the_customer_spoke_here(
    thing: str, yes: e.Event, no: e.Event, other: e.Event
) -> None:
    """Whatever was said here, yes or no, and whatever time the import claims; a yes to another thing is taken."""
    for said in (yes, no):
        for imported in (EARLY, LATE, e.Provenance(method="import", said_at=seconds(0))):
            history = told().append(said)
            assert refused(history, yes, imported) == HERE.format(thing)
            assert refused(history, other, imported) is None
            assert refused(history, yes, e.Provenance(method="staff")) is None


@each_thing
def test_an_imported_yes_is_taken_where_every_word_was_imported_and_said_earlier(
    thing: str, yes: e.Event, no: e.Event, other: e.Event
) -> None:
    """A later import may update an earlier one, yes or no; one said at the same time or before may not."""
    for said in (yes, no):
        history = told().append(said, provenance=EARLY)
        assert refused(history, yes, EARLY) == NO_EARLIER.format(thing)
        assert refused(history, yes, LATE) is None
        assert refused(history.append(yes, provenance=LATE), yes, EARLY) == NO_EARLIER.format(thing)


@each_thing
def test_an_imported_no_is_always_taken(thing: str, yes: e.Event, no: e.Event, other: e.Event) -> None:
    """Also after a word said here, which stays "said here"; and it takes nothing of the age of a later word."""
    history = told().append(yes).append(no, provenance=EARLY)
    assert refused(history, yes, LATE) == HERE.format(thing)
    history = told().append(yes, provenance=LATE).append(no, provenance=EARLY)
    assert refused(history, yes, LATE) == NO_EARLIER.format(thing)


@each_thing
def test_a_word_of_a_time_before_closing_counts(thing: str, yes: e.Event, no: e.Event, other: e.Event) -> None:
    """Closing the account ends what was said, and an import brings nothing of it back."""
    for said in (yes, no):
        reopened = (e.AccountClosed(), e.AccountOpened())
        assert refused(told().play(said, *reopened), yes, LATE) == HERE.format(thing)
        imported = told().append(said, provenance=LATE).play(*reopened)
        assert refused(imported, yes, EARLY) == NO_EARLIER.format(thing)


@pytest.mark.parametrize(
    ("given", "thing"),
    [
        (attrs.evolve(SURVEYS, expires_at=seconds(5)), "surveys"),
        (attrs.evolve(BY_EMAIL, expires_at=seconds(5)), "marketing over email"),
        (attrs.evolve(AGREED, expires_at=seconds(5)), "this notice"),
    ],
)
def test_an_expired_yes_is_a_word(given: e.Granted | e.Agreed, thing: str) -> None:
    """What the customer said here until a time, an import does not prolong."""
    again = attrs.evolve(given, expires_at=None)
    assert refused(told().play(given, 9), again, LATE) == HERE.format(thing)


@pytest.mark.parametrize("channel", Channel)
def test_a_withdrawal_from_all_channels_is_a_word_on_each(channel: Channel) -> None:
    """Without channels it counts for all four."""
    history = opened(e.Withdrawn("marketing"))
    granted = e.Granted("marketing", "n-1", [channel])
    assert refused(history, granted, LATE) == HERE.format(f"marketing over {channel}")


@pytest.mark.parametrize("spoken_for", Channel)
def test_several_channels_with_one_spoken_for_are_refused_whole(spoken_for: Channel) -> None:
    """The reason names the channel; without it the rest is taken."""
    history = opened(e.Withdrawn("marketing", [spoken_for]))
    thing = f"marketing over {spoken_for}"
    with pytest.raises(InvalidEvent) as caught:
        history.append(e.Granted("marketing", "n-1", Channel), provenance=LATE)
    assert str(caught.value) == HERE.format(thing)
    assert history.record.version == 2
    rest = [channel for channel in Channel if channel is not spoken_for]
    history.append(e.Granted("marketing", "n-1", rest), provenance=LATE)
    assert [channel for channel in Channel if history.decide(Market(channel))] == rest


@pytest.mark.parametrize(
    "said", [e.Objected("surveys"), e.Restricted(), e.Restricted(["email"]), TOLD], ids=lambda event: str(event)[:20]
)
def test_objections_restrictions_and_notices_are_no_words(said: e.Event) -> None:
    """They beat a yes anyway, or say nothing: what is imported under them is taken."""
    history = told().append(said)
    for yes, *_ in THINGS.values():
        assert refused(history, yes, LATE) is None


@pytest.mark.parametrize("event", EACH_EVENT, ids=lambda event: type(event).__name__)
def test_said_in_the_future_is_refused(event: e.Event) -> None:
    """Nobody has said it yet; a no is taken all the same. At the instant itself everything is taken."""
    history = told()
    if refused(history, event, EARLY) is None:
        later = e.Provenance(method="import", said_at=seconds(0.000001))
        assert refused(history, event, later) == (None if e.is_no(event) else FUTURE)
        assert refused(history, event, e.Provenance(method="import", said_at=history.at)) is None


def test_one_import_may_say_yes_once_to_each_thing() -> None:
    """All of an append was said at one time: a yes after a word of the same import is refused, a no after one not."""
    history = opened()
    assert not history.attempt(e.Withdrawn("surveys"), SURVEYS, provenance=LATE)
    assert not history.attempt(SURVEYS, SURVEYS, provenance=LATE)
    assert history.attempt(SURVEYS, BY_EMAIL, e.Withdrawn("surveys"), provenance=LATE)
    assert not history.decide(Process("surveys"))


# What a record keeps of it


@pytest.mark.parametrize(
    ("words", "entry_version", "said_at"),
    [
        ((), None, None),
        (((SURVEYS, EARLY),), 2, EARLY.said_at),
        (((SURVEYS, EARLY), (SURVEYS, LATE)), 3, LATE.said_at),
        (((SURVEYS, LATE), (e.Withdrawn("surveys"), EARLY)), 3, LATE.said_at),
        (((SURVEYS, EARLY), (e.Withdrawn("surveys"), LATE)), 3, LATE.said_at),
        (((SURVEYS, e.NO_PROVENANCE),), 2, None),
        (((SURVEYS, EARLY), (e.Withdrawn("surveys"), e.NO_PROVENANCE)), 3, None),
        (((SURVEYS, e.Provenance(method="staff")), (e.Withdrawn("surveys"), LATE)), 3, None),
        (((SURVEYS, EARLY), (SURVEYS, e.NO_PROVENANCE), (e.Withdrawn("surveys"), LATE)), 4, None),
        (((SURVEYS, EARLY), (e.AccountClosed(), e.NO_PROVENANCE)), 2, EARLY.said_at),
    ],
)
def test_the_last_word_is_kept_and_the_latest_time(
    words: tuple[tuple[e.Event, e.Provenance], ...], entry_version: int | None, said_at: datetime | None
) -> None:
    """A record keeps the entry of the last word, and when the latest was said; None as soon as one was said here."""
    history = opened()
    for event, provenance in words:
        history.append(event, provenance=provenance)
    known = history.record.consents.get("surveys")
    assert (known and known.entry_version, known and known.said_at) == (entry_version, said_at)


@pytest.mark.parametrize("imported", [e.NO_PROVENANCE, LATE], ids=["said here", "imported"])
def test_an_explanation_tells_the_entry_and_when_it_was_said(imported: e.Provenance) -> None:
    """What rests on a word of the customer names its entry, also for a no; what rests on none names none."""
    history = opened(TOLD).play(SURVEYS, BY_EMAIL, AGREED, AVATAR, provenance=imported)
    share = Share("acme-records", ["email"], "marketing")
    asks: list[Ask] = [Process("surveys"), Market("email"), share, Show("avatar")]
    rests_on = [(3, imported.said_at), (4, imported.said_at), (5, imported.said_at), (6, imported.said_at)]
    assert _rests_on(history, *asks) == rests_on
    assert _rests_on(history, Market("call"), Process("payment"), Show("username")) == [(None, None)] * 3
    history.play(e.Withdrawn("surveys"), e.AgreementWithdrawn("n-1"), e.Hidden("avatar"), provenance=imported)
    assert _rests_on(history, *asks) == [(7, imported.said_at), rests_on[1], (8, imported.said_at), (None, None)]
    history.append(attrs.evolve(BY_EMAIL, expires_at=seconds(3))).tick(9)
    assert _rests_on(history, Market("email")) == [(10, None)]
    assert explain(history.record, Market("email"), history.at).version == 10
    history.append(e.Objected("marketing"))
    assert _rests_on(history, Market("email")) == [(None, None)]
    history.play(AGREED, e.AccountClosed(), e.AccountOpened())
    assert _rests_on(history, share, Show("avatar")) == [(None, None)] * 2
    history.append(e.ObjectionLifted("marketing"))
    assert [history.decide(share).reason, *_rests_on(history, share)] == ["not_agreed", (None, None)]


def _rests_on(history: History, *asks: Ask) -> list[tuple[int | None, datetime | None]]:
    found = [explain(history.record, ask, history.at) for ask in asks]
    return [(explanation.entry_version, explanation.said_at) for explanation in found]


# Properties

many = settings(max_examples=80)
Tried = list[tuple[tuple[int, e.Event], e.Provenance]]


def tried() -> st.SearchStrategy[Tried]:
    """Events that are tried on one user, each with its provenance."""
    said = st.lists(strategies.provenances(), min_size=30, max_size=30)
    return st.builds(lambda moves, said: list(zip(moves, said, strict=False)), strategies.moves(), said)


def played(moves: Tried) -> History:
    """The history of what the policy takes of them."""
    history = History()
    for (wait, event), provenance in moves:
        history.tick(wait).attempt(event, provenance=provenance)
    return history


@many
@given(tried(), st.integers(0, 10))
def test_no_answer_depends_on_the_provenance(moves: Tried, wait: int) -> None:
    """The same events said in any other way answer every ask alike, and have the same standing."""
    history, again = played(moves), History()
    for entry in history.entries:
        again.at = entry.at
        again.append(entry.event)  # none of them is refused when it is said here
    again.at = history.tick(wait).at
    for ask in strategies.EVERY_ASK:
        assert decide(again.record, ask, again.at) is decide(history.record, ask, history.at)
    assert standing_of(again.record, again.at) == standing_of(history.record, history.at)


def _things(event: e.Event) -> Iterator[tuple[str, ...]]:
    """What an event says yes or no to, read from policy.md alone."""
    match event:
        case e.Granted(purpose, _, channels) | e.Withdrawn(purpose, channels):
            everywhere: tuple[str, ...] = ("email", "notification", "message", "call")
            for channel in channels or (everywhere if purpose == "marketing" else ("",)):
                yield "purpose", purpose, channel
        case e.Agreed(notice) | e.AgreementWithdrawn(notice):
            yield "notice", notice
        case e.Published(field) | e.Hidden(field):
            yield "field", field


@many
@given(tried(), st.lists(strategies.saying_yes(), min_size=1, max_size=8), st.integers(-40, 30).map(seconds))
def test_an_import_is_refused_just_where_policy_says(moves: Tried, yeses: list[e.Event], said_at: datetime) -> None:
    """An independent reading of the rule, over the ledger instead of the record, refuses the same imported events."""
    history = played(moves)
    imported = e.Provenance(method=Method.IMPORT, said_at=said_at)
    noes = [no for _, no, _ in THINGS.values()]
    for event in (*yeses, *noes):
        if refused(history, event, e.NO_PROVENANCE) is not None:
            continue
        is_yes = isinstance(event, e.Granted | e.Agreed | e.Published)
        words = [
            entry.provenance.said_at
            for entry in history.entries
            if is_yes and set(_things(entry.event)) & set(_things(event))
        ]
        overruled = any(word is None or word >= said_at for word in words)
        assert (refused(history, event, imported) is not None) == (
            overruled or (said_at > history.at and not e.is_no(event))
        )


def test_imports_do_not_make_a_record_grow() -> None:
    """However often a thing is said, a record keeps one last word on it; a field is one of a closed list."""
    history = told()
    sizes = set()
    for day in range(30):
        imported = e.Provenance(method="import", evidence=f"row-{day}", language="vi", said_at=seconds(-day))
        for event in (e.Withdrawn(Purpose.SURVEYS), e.Withdrawn("marketing"), e.AgreementWithdrawn("n-1")):
            history.append(event, provenance=imported)
        history.play(*map(e.Hidden, Field), provenance=imported)
        sizes.add(_size(history.record))
    assert sizes == {(1 + len(Channel), 2, len(Field))}
    assert "row-" not in str(history.record)


def _size(record: ConsentRecord) -> tuple[int, int, int]:
    return len(record.consents), len(record.notices), len(record.publications)


def test_an_import_never_reopens_an_account() -> None:
    """An account that was closed stays closed, whoever closed it; opened first by an import it is taken."""
    history = opened(e.AccountClosed())
    reason = "the account is closed, and an import never reopens it: leave it out"
    assert refused(history, e.AccountOpened(), LATE) == reason
    assert refused(history, e.AccountOpened(), e.Provenance(method="staff")) is None
    assert refused(History(), e.AccountOpened(), LATE) is None


@pytest.mark.parametrize(
    ("said", "lifted"),
    [
        (e.Objected("payment"), e.ObjectionLifted("payment")),
        (e.Restricted(), e.RestrictionLifted()),
        (e.Restricted(["email"]), e.RestrictionLifted(["email", "phone"])),
        (e.Restricted(["email"]), e.RestrictionLifted()),
        (e.RequestFiled("r", "erasure"), e.RequestResolved("r", "cancelled")),
        (e.RequestFiled("r", "erasure"), e.RequestResolved("r", "refused", reason="duty")),
    ],
)
def test_an_import_never_lifts_what_stands_against_a_yes(said: e.Event, lifted: e.Event) -> None:
    """One that stands is lifted by the customer alone, whoever wrote it down; where none stands, nothing is lifted."""
    reason = "an import never lifts an objection, restriction or erasure request: leave it out"
    for provenance in (e.NO_PROVENANCE, EARLY):
        history = opened()
        assert refused(history, lifted, LATE) != reason
        history.append(said, provenance=provenance)
        assert refused(history, lifted, LATE) == reason
        assert refused(history, lifted, e.Provenance(method="web")) is None

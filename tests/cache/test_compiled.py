"""Compiled answers: the same as deciding on the record, shared by all who chose the same."""

from __future__ import annotations

import gc
from datetime import timedelta

import pytest
from hypothesis import given, settings

from diijam_consent_sdk import Channel, Field, Purpose, Share
from diijam_consent_sdk import events as e
from diijam_consent_sdk.cache.compiled import ALL_STALE, MAX_REMEMBERED, AnswerPool, freeze_at
from diijam_consent_sdk.cache.counters import Counters
from diijam_consent_sdk.decisions import STALE, decide
from tests import strategies as st
from tests.cache.world import AT, consenting, withdrawn
from tests.domain.history import History, opened


@settings(max_examples=60, deadline=None)
@given(st.moves())
def test_a_settled_record_answers_the_same(moves: list[tuple[int, e.Event]]) -> None:
    """Without its ids and times a record answers every ask as it did at that instant, at whatever time it is asked."""
    history = History()
    for wait, event in moves:
        history.tick(wait).attempt(event)
    settled = freeze_at(history.record, history.at)
    for later in (timedelta(0), timedelta(days=3650)):
        for ask in st.EVERY_ASK:
            assert decide(settled, ask, history.at + later) is decide(history.record, ask, history.at)


def test_users_with_the_same_choices_share_their_answers() -> None:
    """Ids, versions, notices and times tell users apart, not answers; they are kept as long as they are in use."""
    shared = AnswerPool(Counters().by_decision)
    hold = e.HoldPlaced("h", "debt", {"payment"})
    one = opened(e.Granted("surveys", notice="a"), 5, hold, e.RequestFiled("r", "access"))
    other = opened(3, hold, e.HoldReleased("h"), e.HoldPlaced("h2", "debt", {"payment"}), e.RequestFiled("q", "access"))
    other.play(e.Granted("surveys", notice="b"))
    answers = shared.compile(one.record, one.at)
    assert shared.compile(other.record, other.at) is answers
    assert shared.compile(withdrawn(), AT) is not answers
    del answers
    gc.collect()
    assert len(shared._in_use) == 0


def test_a_settled_record_tells_nothing_of_how_it_was_said() -> None:
    """Who says the same in another order, here or imported, has the same settled record, without entries and times."""
    imported = e.Provenance(method="import", said_at=st.START - timedelta(days=9))
    told = e.Notified("n", "acme", {"email"}, "marketing")
    said = (e.Granted("surveys", "a"), e.Agreed("n"), e.Published("avatar"))
    one = opened(told).play(*said)
    again = opened(told).play(*reversed(said), provenance=imported)
    settled = freeze_at(one.record, one.at)
    assert freeze_at(again.record, again.at) == settled
    assert settled.published
    assert not settled.publications
    (notice,), (consent,) = settled.notices.values(), settled.consents.values()
    assert {notice.entry_version, notice.said_at, consent.entry_version, consent.said_at} == {None}


def test_a_plain_word_and_its_member_find_the_same_answer() -> None:
    """Members and their plain strings are interchangeable, also a member of another vocabulary."""
    answers = AnswerPool(Counters().by_decision).compile(consenting(), AT)
    assert answers.market["email"] is answers.market[Channel.EMAIL] is answers.market[Field.EMAIL]
    assert len(answers.market) == 1


@pytest.mark.parametrize(("word", "error"), [("fax", ValueError), (3, TypeError), (None, TypeError), ([], TypeError)])
def test_what_is_no_word_is_a_mistake_also_when_all_is_denied(word: object, error: type[Exception]) -> None:
    """A dead user still tells a mistake from a no."""
    for table in (ALL_STALE.market, ALL_STALE.process, ALL_STALE.show, ALL_STALE.retain):
        with pytest.raises(error):
            table[word]  # type: ignore[index]
    assert ALL_STALE.market["call"].decision is STALE


def test_what_is_remembered_is_bounded() -> None:
    """I7: asks with ever new recipients do not fill the memory."""
    answers = AnswerPool(Counters().by_decision).compile(consenting(), AT)
    for number in range(3 * MAX_REMEMBERED):
        assert not answers.decide(Share(f"r{number}", {"email"}, Purpose.PAYMENT))
        assert len(answers._remembered) <= MAX_REMEMBERED


def test_what_is_no_ask_is_a_mistake() -> None:
    """A word in place of an ask raises `TypeError`."""
    with pytest.raises(TypeError, match="an ask is needed"):
        AnswerPool(Counters().by_decision).compile(consenting(), AT).decide("email")  # type: ignore[arg-type]

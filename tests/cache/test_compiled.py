"""Compiled answers: the same as deciding on the record, shared by all who chose the same."""

from __future__ import annotations

import gc
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as hypothesis

from diijam_consent_sdk import Channel, Field, Purpose, Share
from diijam_consent_sdk import events as e
from diijam_consent_sdk.cache import compiled
from diijam_consent_sdk.cache.compiled import ALL_STALE, MAX_REMEMBERED, AnswerPool, without_ends
from diijam_consent_sdk.cache.counters import Counters
from diijam_consent_sdk.decisions import NOT_ENTITLED, STALE, decide, scope_of
from diijam_consent_sdk.standing import EVERY_ASK, AskScope, View, standing_of
from diijam_consent_sdk.stores.wire import Malformed
from tests import strategies as st
from tests.cache.world import AT, answers_of, consenting, standing_bytes, withdrawn
from tests.domain.history import History, opened


@settings(max_examples=60)
@given(st.moves(), hypothesis.frozensets(hypothesis.sampled_from(AskScope)))
def test_a_standing_without_its_ends_answers_the_same(moves: list[tuple[int, e.Event]], view: View) -> None:
    """Without its ends a standing answers every ask as the record did at that instant, at whatever time it is asked."""
    history = History()
    for wait, event in moves:
        history.tick(wait).attempt(event)
    standing = standing_of(history.record, history.at).narrowed(view)
    endless = without_ends(standing)
    assert endless.next_change_at is None
    answers = answers_of(history.record, history.at, view)
    for ask in st.EVERY_ASK:
        right = decide(history.record, ask, history.at) if scope_of(ask) in view else NOT_ENTITLED
        assert answers.decide(ask) is right
        assert decide(endless, ask, history.at + timedelta(days=3650)) is right


def test_users_with_the_same_choices_share_their_answers() -> None:
    """Ids, versions, notices and times tell users apart, not answers; they are kept as long as they are in use."""
    pool = AnswerPool(Counters().by_decision)
    hold = e.HoldPlaced("h", "debt", {"payment"})
    one = opened(e.Granted("surveys", notice="a"), 5, hold, e.RequestFiled("r", "access"))
    other = opened(3, hold, e.HoldReleased("h"), e.HoldPlaced("h2", "debt", {"payment"}), e.RequestFiled("q", "access"))
    other.play(e.Granted("surveys", notice="b"))
    answers = answers_of(one.record, one.at, pool=pool)
    assert answers_of(other.record, other.at, pool=pool) is answers
    assert answers_of(withdrawn(), pool=pool) is not answers
    pool._compiled.clear()
    del answers
    gc.collect()
    assert len(pool._in_use) == 0


def test_users_share_their_answers_although_each_ends_at_another_instant() -> None:
    """An end in the key of shared answers would cost each user answers of their own, 5,000 bytes."""
    pool = AnswerPool(Counters().by_decision)
    ends = [AT + timedelta(days=day) for day in range(1, 9)]
    found = [pool.compile(standing_bytes(consenting(expires_at=end)), EVERY_ASK, AT) for end in ends]
    assert [ends_at for _, ends_at in found] == ends
    assert {answers for answers, _ in found} == {answers_of(consenting(), pool=pool)}


def test_views_share_no_answers() -> None:
    """The same bytes mean less to a narrower view: what is outside is no `NOT_CONSENTED`."""
    pool = AnswerPool(Counters().by_decision)
    data = standing_bytes(consenting())
    whole, _ = pool.compile(data, EVERY_ASK, AT)
    narrow, _ = pool.compile(data, frozenset({AskScope.PROFILE}), AT)
    assert whole.market["email"].decision.allowed
    assert narrow.market["email"].decision is NOT_ENTITLED
    assert narrow.show["avatar"].decision is whole.show["avatar"].decision


def test_what_was_seen_before_is_not_decoded_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """A standing is found by its bytes, as long as there is room."""
    pool = AnswerPool(Counters().by_decision)
    data = standing_bytes(consenting())
    answers, _ = pool.compile(data, EVERY_ASK, AT)
    monkeypatch.setattr(compiled, "decode_standing", None)
    assert pool.compile(bytes(bytearray(data)), EVERY_ASK, AT)[0] is answers


def test_standings_found_by_their_bytes_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """I7: by number, and none that is long."""
    monkeypatch.setattr(compiled, "MAX_COMPILED", 3)
    pool = AnswerPool(Counters().by_decision)
    for day in range(1, 9):
        pool.compile(standing_bytes(consenting(expires_at=AT + timedelta(days=day))), EVERY_ASK, AT)
        assert len(pool._compiled) <= 3
    monkeypatch.setattr(compiled, "MAX_COMPILED_BYTES", 10)
    known = dict(pool._compiled)
    pool.compile(standing_bytes(withdrawn()), EVERY_ASK, AT)
    assert pool._compiled == known


@pytest.mark.parametrize("seen_before", [False, True])
def test_a_standing_of_an_earlier_instant_is_malformed(*, seen_before: bool) -> None:
    """Equal bytes before and after an end: after it they say too much, also if they were right when first seen."""
    pool = AnswerPool(Counters().by_decision)
    end = AT + timedelta(seconds=5)
    data = standing_bytes(consenting(expires_at=end))
    if seen_before:
        pool.compile(data, EVERY_ASK, AT)
    with pytest.raises(Malformed, match="an end that is over"):
        pool.compile(data, EVERY_ASK, end)


def test_a_plain_word_and_its_member_find_the_same_answer() -> None:
    """Members and their plain strings are interchangeable, also a member of another vocabulary."""
    answers = answers_of(consenting())
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
    answers = answers_of(consenting())
    for number in range(3 * MAX_REMEMBERED):
        assert not answers.decide(Share(f"r{number}", {"email"}, Purpose.PAYMENT))
        assert len(answers._remembered) <= MAX_REMEMBERED


def test_what_is_no_ask_is_a_mistake() -> None:
    """A word in place of an ask raises `TypeError`."""
    with pytest.raises(TypeError, match="an ask is needed"):
        answers_of(consenting()).decide("email")  # type: ignore[arg-type]

"""Decisions as values: truth, identity, wording, and the error of a no."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import attrs
import pytest

from diijam_consent_sdk.decisions import DECISIONS, Decision, Denial, Market, Show, decide, looked_up
from diijam_consent_sdk.errors import ConsentDenied
from diijam_consent_sdk.policy import WORDING
from diijam_consent_sdk.vocabulary import LANGUAGES, Channel, Field, Language, Reason

from .history import History, opened, seconds

each_decision = pytest.mark.parametrize(
    "decision", DECISIONS.values(), ids=lambda decision: f"{decision.reason}-{decision.clause}"
)
PROTOCOLS = range(pickle.HIGHEST_PROTOCOL + 1)


def test_there_is_one_decision_for_each_wording() -> None:
    """Each answer of the policy has its decision, under its own reason and clause."""
    assert list(DECISIONS) == list(WORDING)
    for (reason, clause), decision in DECISIONS.items():
        assert (decision.reason, decision.clause) == (reason, clause)
        assert decision.allowed is WORDING[reason, clause].allowed


@each_decision
def test_truth(decision: Decision) -> None:
    """A decision is truthy just when it allows; its denials are their own class."""
    assert isinstance(decision.allowed, bool)
    assert bool(decision) is decision.allowed
    assert isinstance(decision, Denial) is not decision.allowed
    assert isinstance(decision, Decision)
    assert 1 <= decision.clause <= 7


@each_decision
def test_decisions_cannot_change(decision: Any) -> None:
    """No attribute of a shared decision can be set or added."""
    for name in ("allowed", "reason", "clause", "note"):
        with pytest.raises(AttributeError):
            setattr(decision, name, True)
    assert not hasattr(decision, "__dict__")


@each_decision
def test_copies_are_the_same_object(decision: Decision) -> None:
    """Copying a decision, or what holds it, makes no second one."""
    assert copy.copy(decision) is decision
    assert copy.deepcopy(decision) is decision
    assert copy.deepcopy([decision])[0] is decision


def test_pickle_is_the_same_object() -> None:
    """A decision that went through pickle is the shared one."""
    for protocol in PROTOCOLS:
        for decision in DECISIONS.values():
            assert pickle.loads(pickle.dumps(decision, protocol)) is decision


def test_one_object_for_all_users_and_times() -> None:
    """Two users with the same answer share the decision, which is equal to no other."""
    first, second = opened(), opened(7)
    assert first.decide(Show("avatar")) is second.decide(Show("username"))
    assert first.decide(Show("avatar")) != first.decide(Show("email"))
    assert len(set(DECISIONS.values())) == len(DECISIONS)
    assert {(kind.__eq__, kind.__hash__) for kind in (Decision, Denial)} == {(object.__eq__, object.__hash__)}


@pytest.mark.parametrize("kind", [Decision, Denial])
@pytest.mark.parametrize("allowed", [True, False])
def test_decisions_are_looked_up(kind: type[Decision], allowed: bool) -> None:
    """No decision can be built anew, least of all a yes for a reason that denies, or for one that there is not."""
    for reason in Reason:
        for clause in range(9):
            with pytest.raises(TypeError, match=r"^a Decision is looked up, never built: use decide\(\)$"):
                kind(allowed, reason, clause)


@each_decision
def test_decisions_do_not_turn(decision: Decision) -> None:
    """No decision can be made from another, with the other answer or with the same."""
    for changes in ({}, {"allowed": not decision.allowed}, {"clause": 8}):
        with pytest.raises(TypeError, match="looked up"):
            attrs.evolve(decision, **changes)


@each_decision
def test_looked_up(decision: Decision) -> None:
    """A decision is found by its reason and clause, and by no others."""
    assert looked_up(decision.reason, decision.clause) is decision
    with pytest.raises(KeyError):
        looked_up(decision.reason, 0)


@pytest.mark.parametrize("language", LANGUAGES)
@each_decision
def test_message(decision: Decision, language: Language) -> None:
    """A decision has its wording as message in Vietnamese and in English."""
    message = decision.message(language)
    assert message == getattr(WORDING[decision.reason, decision.clause], language)
    assert message
    assert decision.message("vi") != decision.message("en")


@pytest.mark.parametrize("language", ["fr", "", "VI", "allowed", "vi-VN"])
@each_decision
def test_message_in_an_unknown_language(decision: Decision, language: str) -> None:
    """There is no message in another language: a `ValueError` names it and the two there are."""
    with pytest.raises(ValueError, match="messages exist") as caught:
        decision.message(language)  # type: ignore[arg-type]
    assert str(caught.value) == f'messages exist in "vi" and "en", not in {language!r}'


@each_decision
def test_or_raise(decision: Decision) -> None:
    """A yes returns itself; a no raises `ConsentDenied`, which carries it and says why."""
    if decision.allowed:
        assert decision.or_raise() is decision
    else:
        with pytest.raises(ConsentDenied) as caught:
            decision.or_raise()
        assert caught.value.decision is decision
        expected = f"{decision.reason} (clause {decision.clause}): {decision.message('en')}"
        assert str(caught.value) == expected


def test_denied_pickles() -> None:
    """The error of a no comes through pickle with the very decision."""
    error = ConsentDenied(DECISIONS[Reason.OBJECTED, 1])
    for protocol in PROTOCOLS:
        again = pickle.loads(pickle.dumps(error, protocol))
        assert type(again) is ConsentDenied
        assert again.decision is error.decision
        assert str(again) == str(error)


def test_repr_tells_the_answer() -> None:
    """A decision prints its reason and clause."""
    decision = decide(History().record, Market(Channel.EMAIL, {Field.EMAIL}), seconds(0))
    assert "unknown_user" in repr(decision)
    assert "clause=3" in repr(decision)

"""What each ask would be answered now: for how many users, with which reason."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

import attrs

from ..decisions import Ask, Decision, check_entitled, decide
from ..standing import Standing
from ..vocabulary import Account


@attrs.frozen
class Alike:
    """Users who have the same standing, how many they are, and the instant at which it is asked."""

    standing: Standing
    at: datetime
    users: int


@attrs.frozen
class AnswerCounts:
    """How many users each ask has which answer for, and how many accounts stand where."""

    accounts: Mapping[Account, int]
    answers: Mapping[Ask, Mapping[Decision, int]]


def count_answers(asks: Sequence[Ask], groups: Iterable[Alike]) -> AnswerCounts:
    """
    Put every ask to every user. No standing is kept.

    Raises:
        NotEntitled: a standing was made for a token that may not put all the asks.
    """
    accounts = Counter[Account]()
    answers = {ask: Counter[Decision]() for ask in asks}
    for group in groups:
        accounts[group.standing.account] += group.users
        for ask, counts in answers.items():
            counts[check_entitled(decide(group.standing, ask, group.at), ask)] += group.users
    return AnswerCounts(accounts, answers)

"""What holds for a customer now: the answer to every ask that a service may make, with its reason and clause."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

import attrs

from ..decisions import Ask, Decision, Market, Process, Retain, Share, Show, decide
from ..record import ConsentRecord
from ..vocabulary import Account, Channel, Field, Language, Purpose
from ..wording import describe_answer


@attrs.frozen
class Answer:
    """An ask, and what is answered."""

    ask: Ask
    decision: Decision

    def describe(self, language: Language) -> str:
        """Say in two sentences what is allowed or not, and why."""
        answer = describe_answer(language, self.ask, is_allowed=self.decision.allowed)
        return f"{answer} {self.decision.message(language)}"


def answers_at(record: ConsentRecord, at: datetime) -> Iterator[Answer]:
    """
    Answer each purpose, channel and field, and each sharing that the customer was told of; nothing for an erased one.

    A purpose is asked without data, so that a restriction of some fields, which is told beside it, hides no consent.
    """
    if record.account is not Account.ERASED:
        for ask in _asks(record):
            yield Answer(ask, decide(record, ask, at))


def _asks(record: ConsentRecord) -> Iterator[Ask]:
    yield from (Process(purpose, ()) for purpose in Purpose if purpose is not Purpose.MARKETING)
    yield from map(Market, Channel)
    sharings = {Share(told.recipient, told.data, told.purpose): None for told in record.notices.values()}
    yield from sharings
    yield from map(Show, Field)
    yield from map(Retain, Field)

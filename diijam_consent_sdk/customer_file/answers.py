"""What holds for a customer now: the answer to every ask that a service may make, with its reason and clause."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

import attrs

from ..decisions import Ask, Decision, Share, decide
from ..documents.asks import every_ask
from ..record import ConsentRecord
from ..vocabulary import Account, Language
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
    """Answer each purpose, channel, field and sharing that the customer was told of; nothing for an erased one."""
    if record.account is not Account.ERASED:
        for ask in every_ask(Share(told.recipient, told.data, told.purpose) for told in record.notices.values()):
            yield Answer(ask, decide(record, ask, at))

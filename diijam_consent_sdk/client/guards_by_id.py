"""
Guards by user id: `consent.can_market(user_id, …)`, one call from memory in the usual case.

They share one shape, which is written out in each because a call more shows in their cost: answer from memory, or else
load the user and call the user's own guard.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Mapping
from typing import TypeVar

from ..cache.user import UserConsent
from ..decisions import NO_DATA, Ask, Decision, Market, Process, Retain, Share, Show
from .base import BaseClient

V = TypeVar("V")


class GuardsById(BaseClient):
    """The guards of `UserConsent`, each with the user's id before its arguments."""

    @abstractmethod
    def user(self, user_id: str, at_least: str | None = None) -> UserConsent:
        """Give one user's answers."""

    def decide(self, user_id: str, ask: Ask) -> Decision:
        """Answer any *ask* for the user: `user(user_id).decide(ask)`."""
        if (answers := self._leases.answers(user_id)) is None:
            return self.user(user_id).decide(ask)
        decision = answers.decide(ask)
        self._counters.by_decision[decision].hits += 1
        return decision

    def can_market(self, user_id: str, channel: str, data: Iterable[str] = NO_DATA) -> Decision:
        """Whether marketing may reach the user over *channel*, using the channel's own field and *data*: clause 4."""
        if (answers := self._leases.answers(user_id)) is None:
            return self.decide(user_id, Market(channel, data))
        counter = answers.market[channel] if data is NO_DATA else answers.find(Market, channel, data)
        if counter is None:
            return self.decide(user_id, Market(channel, data))
        counter.hits += 1
        return counter.decision

    def can_share(self, user_id: str, recipient: str, data: Iterable[str], purpose: str) -> Decision:
        """Whether *data* of the user may be shared with *recipient* for *purpose*: clause 5."""
        answers = self._leases.answers(user_id)
        if answers is None or (counter := answers.find(Share, purpose, data, recipient)) is None:
            return self.decide(user_id, Share(recipient, data, purpose))
        counter.hits += 1
        return counter.decision

    def is_public(self, user_id: str, field: str) -> Decision:
        """Whether the user's *field* may be shown to everybody: clause 7."""
        if (answers := self._leases.answers(user_id)) is None:
            return self.decide(user_id, Show(field))
        counter = answers.show[field]
        counter.hits += 1
        return counter.decision

    def can_process(self, user_id: str, purpose: str, data: Iterable[str] | None = None) -> Decision:
        """Whether *data* of the user (None: any; `()`: none) may be processed for *purpose*: clauses 4 and 6."""
        if (answers := self._leases.answers(user_id)) is None:
            return self.decide(user_id, Process(purpose, data))
        counter = answers.process[purpose] if data is None else answers.find(Process, purpose, data)
        if counter is None:
            return self.decide(user_id, Process(purpose, data))
        counter.hits += 1
        return counter.decision

    def can_retain(self, user_id: str, field: str) -> Decision:
        """Whether the user's *field* may be kept: clause 6."""
        if (answers := self._leases.answers(user_id)) is None:
            return self.decide(user_id, Retain(field))
        counter = answers.retain[field]
        counter.hits += 1
        return counter.decision

    def public_view(self, user_id: str, fields: Mapping[str, V]) -> dict[str, V]:
        """Keep of *fields*, keyed by `Field` words, what the user chose to make public; unknown keys are dropped."""
        return self.user(user_id).public_view(fields)

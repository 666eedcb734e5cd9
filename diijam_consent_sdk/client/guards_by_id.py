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

K = TypeVar("K", bound=str)
V = TypeVar("V")


class GuardsById(BaseClient):
    """
    The guards of `UserConsent`, each with the user's id before its arguments.

    Each answers with a `Decision`, which is true if it allows, from memory or within the client's deadline. It raises
    nothing on an outage, but denies with `UNAVAILABLE`.
    """

    @abstractmethod
    def user(self, user_id: str, at_least: str | None = None) -> UserConsent:
        """Give one user's answers."""

    def decide(self, user_id: str, ask: Ask) -> Decision:
        """
        Decide any ask, as the guard of its kind does.

        Args:
            user_id: Whose data it is about.

            ask: A `Process`, `Market`, `Share`, `Show` or `Retain`.

        Raises:
            ValueError: the id is malformed.

            TypeError: the id is not a string, or *ask* is not an ask.
        """
        if (answers := self._leases.answers(user_id)) is None:
            return self.user(user_id).decide(ask)
        decision = answers.decide(ask)
        self._counters.by_decision[decision].hits += 1
        return decision

    def can_market(self, user_id: str, channel: str, data: Iterable[str] = NO_DATA) -> Decision:
        """
        Decide whether marketing may reach the user over a channel: clause 4. Without a live consent it may not.

        Args:
            user_id: Whose data it is about.

            channel: A `Channel` or its word, such as `"email"`.

            data: Further fields (`Field` or words) that the message uses. The channel's own field, such as `EMAIL`,
                is always among them.

        Raises:
            ValueError: the id is malformed, or a word is unknown.

            TypeError: an argument has another type, or *data* is a bare string.
        """
        if (answers := self._leases.answers(user_id)) is None:
            return self.decide(user_id, Market(channel, data))
        counter = answers.market[channel] if data is NO_DATA else answers.find(Market, channel, data)
        if counter is None:
            return self.decide(user_id, Market(channel, data))
        counter.hits += 1
        return counter.decision

    def can_share(self, user_id: str, recipient: str, data: Iterable[str], purpose: str) -> Decision:
        """
        Decide whether data may be shared: clause 5. One agreement of the user has to cover all that is named.

        Args:
            user_id: Whose data it is about.

            recipient: The id of the recipient, as in the notices.

            data: The fields (`Field` or words), at least one.

            purpose: A `Purpose` or its word: what for.

        Raises:
            ValueError: the id is malformed, or a word is unknown, or *data* is empty.

            TypeError: an argument has another type, or *data* is a bare string.
        """
        answers = self._leases.answers(user_id)
        if answers is None or (counter := answers.find(Share, purpose, data, recipient)) is None:
            return self.decide(user_id, Share(recipient, data, purpose))
        counter.hits += 1
        return counter.decision

    def is_public(self, user_id: str, field: str) -> Decision:
        """
        Decide whether a field may be shown to everybody: clause 7. It may once the user published it.

        Args:
            user_id: Whose data it is about.

            field: A `Field` or its word. `policy.PUBLISHABLE` are those that can be published.

        Raises:
            ValueError: the id is malformed, or a word is unknown.

            TypeError: an argument has another type.
        """
        if (answers := self._leases.answers(user_id)) is None:
            return self.decide(user_id, Show(field))
        counter = answers.show[field]
        counter.hits += 1
        return counter.decision

    def can_process(self, user_id: str, purpose: str, data: Iterable[str] | None = None) -> Decision:
        """
        Decide whether data may be processed for a purpose: clauses 4 and 6.

        Args:
            user_id: Whose data it is about.

            purpose: A `Purpose` or its word, but not `MARKETING`, which `can_market` answers.

            data: The fields (`Field` or words) that are used; None: any personal data, so that one restricted field
                denies; `()`: none.

        Raises:
            ValueError: the id is malformed, or a word is unknown, or is `MARKETING`.

            TypeError: an argument has another type, or *data* is a bare string.
        """
        if (answers := self._leases.answers(user_id)) is None:
            return self.decide(user_id, Process(purpose, data))
        counter = answers.process[purpose] if data is None else answers.find(Process, purpose, data)
        if counter is None:
            return self.decide(user_id, Process(purpose, data))
        counter.hits += 1
        return counter.decision

    def can_retain(self, user_id: str, field: str) -> Decision:
        """
        Decide whether a field may be kept: clause 6. A no is no order to delete: `erasures` lists what is to be erased.

        Args:
            user_id: Whose data it is about.

            field: A `Field` or its word.

        Raises:
            ValueError: the id is malformed, or a word is unknown.

            TypeError: an argument has another type.
        """
        if (answers := self._leases.answers(user_id)) is None:
            return self.decide(user_id, Retain(field))
        counter = answers.retain[field]
        counter.hits += 1
        return counter.decision

    def public_view(self, user_id: str, fields: Mapping[K, V]) -> dict[K, V]:
        """
        Keep what may be shown to everybody: clause 7.

        Args:
            user_id: Whose data it is.

            fields: The values by `Field` or its word. Other keys are dropped.

        Returns:
            The values of the published fields; nothing while the user's choices are unknown.

        Raises:
            ValueError: the id is malformed.

            TypeError: the id is no string, or *fields* is no mapping.
        """
        return self.user(user_id).public_view(fields)

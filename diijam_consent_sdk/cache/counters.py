"""Counters of a client, for its status and its metrics. They name no user."""

from __future__ import annotations

from collections import Counter

from ..decisions import DECISIONS, Decision
from ..vocabulary import Reason


class DecisionCounter:
    """
    A decision with the number of times that the guards of one client gave it. Compiled answers hold the counter in
    place of the decision, so that counting costs a guard by id next to nothing.
    """

    __slots__ = ("allowed", "decision", "denied", "hits")

    def __init__(self, decision: Decision) -> None:
        self.decision = decision
        self.allowed = decision.allowed  # Python reads it faster here: decisions are of two classes
        self.hits = 0  # given from memory by guards by id
        self.denied = 0  # given by guards of a `UserConsent`, which count denials alone


class Counters:
    """How often a client found its users in memory, and what its guards answered. Counts without a lock."""

    __slots__ = ("by_decision", "found", "misses")

    def __init__(self) -> None:
        self.found = 0  # lookups of a user that needed no load
        self.misses = 0
        self.by_decision = {decision: DecisionCounter(decision) for decision in DECISIONS.values()}

    @property
    def hits(self) -> int:
        """How many lookups were answered from memory."""
        return self.found + sum(counter.hits for counter in self.by_decision.values())

    @property
    def denials(self) -> dict[Reason, int]:
        """How many guards denied, by reason."""
        denials: Counter[Reason] = Counter()
        for counter in self.by_decision.values():
            if not counter.decision.allowed:
                denials[counter.decision.reason] += counter.hits + counter.denied
        return dict(+denials)

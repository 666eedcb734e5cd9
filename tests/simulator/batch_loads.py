"""Batch loads that go on in parts: when each part ended, and until when a caller may wait for them (rule 11)."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, Any

import attrs

from diijam_consent_sdk.client.halving import BatchLoad
from diijam_consent_sdk.client.lookups import PATIENCE
from diijam_consent_sdk.client.single_flight import SharedLoad
from diijam_consent_sdk.errors import TooLarge

if TYPE_CHECKING:
    from tests.simulator.world import World


@attrs.define
class Parts:
    """The parts of one client's loads that ended: when, and whom the whole load asks for."""

    deadline: float
    slack: float
    answered_at: float = -inf  # when the store last answered the client
    ended: list[tuple[float, dict[str, None]]] = attrs.field(factory=list)

    def answered(self, answer: object, now: float) -> None:
        """Note an answer of the store. An error is none, but for one that asks for fewer users."""
        if not isinstance(answer, Exception) or isinstance(answer, TooLarge):
            self.answered_at = now

    def end(self, user_ids: dict[str, None], now: float) -> bool:
        """Note the end of a part. Whether it may be one: the store answered just now."""
        self.ended.append((now, user_ids))
        return now <= self.answered_at + self.slack

    def until(self, asked: list[str], began: float) -> float:
        """
        The latest end of a caller's wait that began then.

        A single user has one deadline. Of several, each part of their loads has one from the end of the part before it
        on, and a quarter more in which the store is asked for its head.
        """
        if len(asked) == 1:
            return began + self.deadline
        of_each = (1 + PATIENCE) * self.deadline
        until = began + of_each
        for ended, user_ids in self.ended:
            if ended <= until + self.slack and not user_ids.keys().isdisjoint(asked):
                until = max(until, ended + of_each)
        return until


class SimLoad(SharedLoad):
    """A load that shows the checks when its parts end."""

    def __init__(self, world: World) -> None:
        assert world.executing is not None
        self._client = world.executing
        super().__init__()

    @property
    def part_ended_at(self) -> float:
        """See `BatchLoad`."""
        ended_at: float = ENDED_AT.__get__(self)
        return ended_at

    @part_ended_at.setter
    def part_ended_at(self, ended_at: float) -> None:
        ENDED_AT.__set__(self, ended_at)
        if ended_at > -inf:
            self._client.checks.part_ended(self._client, self.user_ids)


ENDED_AT: Any = vars(BatchLoad)["part_ended_at"]

"""The view that the token's scopes give, at which times; and the standings that the store keeps beside its records."""

from __future__ import annotations

from random import Random

import attrs

from diijam_consent_sdk.decisions import Ask, scope_of
from diijam_consent_sdk.standing import EVERY_ASK, AskScope, View
from tests.simulator.loop import Loop

VIEWS: tuple[View, ...] = (
    EVERY_ASK,
    frozenset({AskScope.MARKETING, AskScope.ANALYTICS}),
    frozenset({AskScope.MARKETING, AskScope.PROFILE}),
    frozenset({AskScope.PROFILE}),
)
MIXED_SHARE = 0.3  # of the answers, while some processes of the service still have the file of before


@attrs.frozen
class Spell:
    """A view, from when on and until when answers are given in it."""

    view: View
    since: float
    until: float = float("inf")


class Views:
    """What the service lets the clients' token ask about."""

    def __init__(self, loop: Loop, random: Random, reach: float) -> None:
        self._loop = loop
        self._random = random
        self._reach = reach
        self._spells = [Spell(EVERY_ASK, float("-inf"))]

    def change(self, view: View, mixed_for: float = 0.0) -> None:
        """Give the token other scopes; some answers are in the view of before, for so many seconds more."""
        now = self._loop.now
        self._spells[-1] = attrs.evolve(self._spells[-1], until=now + mixed_for)
        self._spells = [spell for spell in self._spells if spell.until > now - 2 * self._reach]
        self._spells.append(Spell(view, now))

    def current(self) -> View:
        """The view of an answer that is given now."""
        old = [spell.view for spell in self._spells[:-1] if spell.until > self._loop.now]
        return old[-1] if old and self._random.random() < MIXED_SHARE else self._spells[-1].view

    def held_within(self, ask: Ask, since: float, until: float) -> bool:
        """Whether at some instant from *since* to *until* an answer was given in a view with this ask."""
        scope = scope_of(ask)
        return any(spell.since <= until and spell.until >= since and scope in spell.view for spell in self._spells)

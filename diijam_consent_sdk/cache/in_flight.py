"""
Requests to the store that are under way, with what the client had seen when each was sent.

An answer is judged against that (protocol.md, rules 1 to 4 and 6): what changed meanwhile may have overtaken it.
"""

from __future__ import annotations

import attrs

from ..errors import StoreUnavailable
from ..stores.answers import Changes, Cursor
from .generation import Generation

PAST_ALL_POSITIONS = 2**63


@attrs.define(eq=False)
class Fetch:
    """
    A load that is under way.

    Attributes:
        own_until: When the leases that it brings end (rule 1).

        applied: The position up to which the feed was applied when it was sent.

        latest_head: The newest head that was seen when it was sent.

        changed: By user id, the position of a change that became known since (rule 3), or past all positions.

        lies_behind: Set by an answer that lies behind this head. The store has to be asked which of them is right.

        is_malformed: Whether a standing of the answer could not be read, or held an end that was over.
    """

    user_ids: tuple[str, ...] = attrs.field(repr=False)
    wanted: frozenset[str] = attrs.field(repr=False)
    sent_at: float
    own_until: float
    generation: Generation
    applied: int
    latest_head: Cursor | None
    changed: dict[str, int] = attrs.field(factory=dict, repr=False)
    lies_behind: Cursor | None = None
    is_malformed: bool = False

    def note(self, user_id: str, position: int) -> None:
        """Accept no standing of this user that is older than *position*."""
        if user_id in self.wanted:
            self.changed[user_id] = max(position, self.changed.get(user_id, 0))


class Fetches(set[Fetch]):
    """All loads under way."""

    def note(self, user_id: str, position: int) -> None:
        """Let no load bring back a record of this user that is older than *position*."""
        for fetch in self:
            fetch.note(user_id, position)

    def overtake(self, user_id: str) -> None:
        """Let no load that is under way install this user."""
        self.note(user_id, PAST_ALL_POSITIONS)


@attrs.define(eq=False)
class Poll:
    """
    A poll of the change feed that is under way. One that is answered in parts moves on with each part.

    Attributes:
        after: Where the answer, or the next part of it, begins.

        latest_head: The newest head that was seen before the store looked for the answer, as far as is known.

        lies_behind: As for a `Fetch`.

        noted: The newest head at an instant since, for the parts whose look is later.
    """

    after: Cursor
    sent_at: float
    generation: Generation
    latest_head: Cursor | None
    lies_behind: Cursor | None = None
    noted: tuple[float, Cursor | None] | None = None

    def head_seen_before(self, looked_at: float) -> Cursor | None:
        """Return the newest head known to be seen before the store looked, which it did no earlier than *looked_at*."""
        if self.noted is not None and self.noted[0] <= looked_at:
            self.latest_head, self.noted = self.noted[1], None
        return self.latest_head

    def move_on(self, cursor: Cursor, now: float, latest_head: Cursor | None) -> None:
        """Let the next part begin where this one ended."""
        self.after = cursor
        if self.noted is None:
            self.noted = now, latest_head

    def check(self, changes: Changes) -> None:
        """
        Check that an answer is one to this poll.

        Raises:
            StoreUnavailable: the answer is to another question, or contradicts itself.
        """
        if changes.after != self.after:
            raise StoreUnavailable("the answer of the change feed is to another question: it is asked again")
        if changes.complete not in (True, False) or not changes.is_within_page():
            raise StoreUnavailable("the answer of the change feed contradicts itself: it is asked again")

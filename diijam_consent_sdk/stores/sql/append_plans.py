"""Appends before they are judged: their arguments, checked, and what can become of each."""

from __future__ import annotations

from collections.abc import Iterable

import attrs

from ...errors import ConsentError
from ...events import Erased, Event, Provenance
from ...identifiers import identifier
from ..answers import Appended, Write
from ..checks import check_many_events, checked_batch, checked_provenance, checked_version, checked_writes
from .repeats import Repeat, RepeatKey, repeat_key

AppendOutcome = Appended | Repeat | ConsentError | ValueError  # of one append of a group; an error is its refusal
SettledAppend = Appended | Repeat | Exception  # of an append of a group that may have failed


@attrs.frozen
class PlannedAppend:
    """The checked arguments of `Store.append`. `key` recognises a repeat; None without an idempotency key."""

    user_id: str = attrs.field(repr=False)
    events: tuple[Event, ...] = attrs.field(repr=False)
    expected_version: int | None
    idempotency_key: str | None = attrs.field(repr=False)
    provenance: Provenance = attrs.field(repr=False)
    key: RepeatKey | None = attrs.field(repr=False)

    @property
    def is_erasure(self) -> bool:
        """Whether content is deleted that the database may have to clear away."""
        return isinstance(self.events[-1], Erased)


def plan_append(
    user_id: str,
    events: Iterable[Event],
    expected_version: int | None,
    idempotency_key: str | None,
    provenance: Provenance | None,
) -> PlannedAppend:
    """Check the arguments of an append. Raises `ValueError` and `TypeError` as `Store.append` does."""
    user_id, batch = identifier(user_id), checked_batch(events)
    key = None if idempotency_key is None else repeat_key(user_id, identifier(idempotency_key), batch)
    version, said = checked_version(expected_version), checked_provenance(provenance)
    return PlannedAppend(user_id, batch, version, idempotency_key, said, key)


def plan_many(writes: Iterable[Write]) -> list[PlannedAppend | ValueError]:
    """
    Check the arguments of `Store.append_many`. A write that is malformed is its error.

    Raises:
        ValueError: there are too many.

        TypeError: an argument has another type.
    """
    plans: list[PlannedAppend | ValueError] = []
    for write in checked_writes(writes):
        try:
            plans.append(
                plan_append(
                    write.user_id, write.events, write.expected_version, write.idempotency_key, write.provenance
                )
            )
        except ValueError as malformed:
            plans.append(malformed)
    check_many_events(sum(len(plan.events) for plan in plans if isinstance(plan, PlannedAppend)))
    return plans


def has_erased(plans: Iterable[PlannedAppend], outcomes: Iterable[AppendOutcome]) -> bool:
    """Whether content was deleted, now or before, that the database may have to clear away."""
    pairs = zip(plans, outcomes, strict=True)
    return any(plan.is_erasure and not isinstance(outcome, Exception) for plan, outcome in pairs)


def rests_on_repeats(outcomes: Iterable[AppendOutcome]) -> bool:
    """Whether something was found written, and nothing is written now whose commit waits for that too."""
    kinds = set(map(type, outcomes))
    return Repeat in kinds and Appended not in kinds

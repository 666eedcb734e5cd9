"""Batches of an event file: what is written together, and known again by its key when the file is imported again."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import attrs

from ....events import Event, Provenance, is_no
from ....policy import MAX_EVENTS
from ....stores import wire


def digest_parts(*parts: bytes) -> bytes:
    """Compute the hash of some texts, in which each has its length, so that none passes for two others."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "big") + part)
    return digest.digest()


@attrs.define
class Batch:
    """
    Events of one user and one provenance on adjacent lines, and the line of each: what is written together.

    `is_last`: the next line is of another user.
    """

    user_id: str = attrs.field(repr=False)
    provenance: Provenance = attrs.field(repr=False)
    lines: list[int] = attrs.field(factory=list)
    events: list[Event] = attrs.field(factory=list)
    is_last: bool = True

    def digest(self, label: str) -> bytes:
        """
        Compute what makes the key: the same for the same user, events and label, however the JSON is spelled.

        With a label, what was said before may be said again, so nothing but the key keeps an old yes out of a file that
        grew: the yes of a batch stands for all of it, and the ledger refuses the key with other lines beside it.
        """
        yes = self.yes_said_here() if label else None
        events = self.events if yes is None else [yes]
        said = wire.provenance_fields(self.provenance)
        said.pop("by", None)
        written = map(wire.encode_event, events)
        return digest_parts(label.encode(errors="surrogateescape"), self.user_id.encode(), wire.encode(said), *written)

    def yes_said_here(self) -> Event | None:
        """Find the first yes among the events, unless they are an import, which overrules no no."""
        if self.provenance.said_at is not None:
            return None
        return next((each for each in self.events if not is_no(each)), None)

    def singles(self) -> Iterator[Batch]:
        """Yield a batch for each event."""
        for line, event in zip(self.lines, self.events, strict=True):
            yield Batch(self.user_id, self.provenance, [line], [event])


@attrs.frozen
class Keyed:
    """A batch with its idempotency key, and the digest of all lines to its last one."""

    batch: Batch
    key: str
    digest: str

    def parts(self) -> Iterator[Keyed]:
        """
        Yield what is written all or none: of an imported batch each event, with its own key.

        So an account that is open already keeps no imported no out, and what was written beside a refused event is
        known when that one is accepted on another day: written again, it would overrule what was said here since.
        """
        if self.batch.provenance.said_at is None:
            yield self
            return
        for number, single in enumerate(self.batch.singles()):
            yield Keyed(single, f"{self.key}-{number}", self.digest)


class Grouping:
    """
    Puts events into batches as they come.

    An append has at most 1,000 events, so more adjacent lines of one user are several batches. With a *label* each yes
    that was said here is in another one, the same yes too: `Batch.digest` knows no more than one again, and how often a
    yes is counted must not depend on the lines between.
    """

    def __init__(self, label: str) -> None:
        self._label = label
        self.batch: Batch | None = None  # that may go on

    def add(self, line: int, user_id: str, event: Event, provenance: Provenance) -> Batch | None:
        """Add the event of a line, and return the batch before if that ended."""
        before, batch = None, self.batch
        if batch is not None and not self._goes_on(batch, user_id, event, provenance):
            batch.is_last = batch.user_id != user_id
            before, batch = batch, None
        self.batch = batch = batch or Batch(user_id, provenance)
        batch.lines.append(line)
        batch.events.append(event)
        return before

    def _goes_on(self, batch: Batch, user_id: str, event: Event, provenance: Provenance) -> bool:
        is_another_yes = bool(self._label) and not is_no(event) and batch.yes_said_here() is not None
        is_same = (batch.user_id, batch.provenance) == (user_id, provenance)
        return is_same and len(batch.events) < MAX_EVENTS and not is_another_yes

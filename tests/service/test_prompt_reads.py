"""Reads on the event loop: none after a slow one, for a moment, and none of a broken ledger."""

from __future__ import annotations

from datetime import UTC, datetime

import attrs
import pytest

from diijam_consent_sdk.service.prompt_reads import PAUSES, SLOW_SECONDS, PromptReads
from diijam_consent_sdk.standing import EVERY_ASK
from diijam_consent_sdk.stores import Cursor
from diijam_consent_sdk.stores.answers import Standings

FOUND = Standings(Cursor("e" * 32, 0, "0" * 64), datetime(2026, 11, 30, tzinfo=UTC), EVERY_ASK, ())


@attrs.define
class Disk:
    """A clock, and a read that takes some of its time."""

    takes: float = 0.0
    now: float = 100.0
    reads: int = 0

    def clock(self) -> float:
        """The time."""
        return self.now

    def read(self, _: str) -> Standings:
        """Read, after a while."""
        self.reads += 1
        self.now += self.takes
        return FOUND


@pytest.mark.parametrize("takes", [SLOW_SECONDS * 2, 5.0])
def test_a_slow_read_leaves_the_next_ones_to_threads(takes: float) -> None:
    """However slow a disk is, the event loop waits for it a fiftieth of the time; each answer read is used."""
    disk = Disk(takes=takes)
    prompt = PromptReads(disk.read, clock=disk.clock)
    assert prompt.read("u-1") is FOUND
    disk.now += takes * PAUSES * 0.99
    assert [prompt.read("u-1") for _ in range(3)] == [None] * 3
    assert disk.reads == 1
    disk.now += takes * PAUSES * 0.02
    disk.takes = SLOW_SECONDS / 2
    assert [prompt.read("u-1") for _ in range(3)] == [FOUND] * 3

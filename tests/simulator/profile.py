"""Which faults a world tries, and how often."""

from __future__ import annotations

from random import Random

import attrs

from tests.simulator.network import Weather

STORE_FAULTS = ("restart", "new_epoch", "restore_new_epoch", "restore_same_epoch", "wall", "old_standings")
TOKEN_FAULTS = ("refuse_token", "rotate_token")
LAGS = ("lag_loads", "lag_changes", "lag_all")
FEED_FAULTS = ("freeze_feed", "break_loads", "break_all", "storm")
STREAM_FAULTS = ("hold_parts", "silent_streams", "cut_streams", "poll_beside")
BATCH_FAULTS = ("large_refused", "large_late")
CLIENT_FAULTS = ("fork", "fork_bare", "suspend", "close", "starve", "end_loop")
FAULTS = STORE_FAULTS + TOKEN_FAULTS + LAGS + FEED_FAULTS + STREAM_FAULTS + BATCH_FAULTS + CLIENT_FAULTS
# What each is worth in a world that tries it; one in three is left out, so that worlds differ.
USUAL = dict.fromkeys(FAULTS, 1.0) | dict.fromkeys(FEED_FAULTS, 3.0)

STORM = Weather(
    slow_request=0.1, slow_answer=0.15, lost_request=0.05, lost_answer=0.05, error_before=0.05, error_after=0.05,
    doubled=0.2, wrong=0.1, part=0.2,
)  # fmt: skip


WILD = Weather(
    slow_request=0.2, slow_answer=0.3, lost_request=0.05, lost_answer=0.1, error_before=0.05, error_after=0.1,
    doubled=0.2, wrong=0.15, part=0.3,
)  # fmt: skip


@attrs.frozen
class Profile:
    """A mix of faults and of work. `faults`: by kind, how often one is chosen; none: as `USUAL`, at random."""

    faults: dict[str, float] | None = None
    storm: Weather = STORM
    fault_every: float = 0.4  # in units of B
    clients: tuple[int, int] = (1, 4)
    users: tuple[int, int] = (2, 5)
    small_caps: float = 0.3  # how likely the caps are small enough to be reached
    bound: tuple[float, ...] = (1.0, 2.0, 10.0)
    work: dict[str, float] = attrs.field(
        factory=lambda: {"decide": 50, "guard": 20, "many": 6, "record": 12, "load": 4, "token": 6}
    )

    def choose(self, random: Random) -> dict[str, float]:
        """The faults of one world."""
        if self.faults is not None:
            return self.faults
        return {fault: weight for fault, weight in USUAL.items() if random.random() < 0.65}

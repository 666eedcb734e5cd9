"""How everything here is timed: contenders in turns within one process, many rounds, ratios within a round."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import attrs

Clock = Callable[[], int]
Work = Callable[[], int]  # does something, and says how often


@attrs.frozen
class Spread:
    """The middle of some measurements, and where four fifths of them lie."""

    median: float
    low: float
    high: float

    def text(self, digits: int = 2) -> str:
        """The median, and the range in brackets."""
        return f"{self.median:,.{digits}f} ({self.low:,.{digits}f} to {self.high:,.{digits}f})"


def spread(values: Sequence[float]) -> Spread:
    """The spread of at least one value."""
    ordered = sorted(values)
    tenth = len(ordered) // 10
    return Spread(statistics.median(ordered), ordered[tenth], ordered[-1 - tenth])


def ratios(mine: Sequence[float], other: Sequence[float]) -> Spread:
    """The spread of the quotients round by round: what slows a whole round down cancels out."""
    return spread([a / b for a, b in zip(mine, other, strict=True)])


def timed(work: Work, clock: Clock = time.perf_counter_ns) -> float:
    """Nanoseconds for one time of what *work* does."""
    began = clock()
    times = work()
    return (clock() - began) / times


def interleaved(
    contenders: Mapping[str, Work], *, rounds: int, warm_ups: int = 1, clock: Clock = time.perf_counter_ns
) -> dict[str, list[float]]:
    """
    Nanoseconds a time, of each contender in each round. In every other round the turns are the other way round.

    Args:
        contenders: What to time, by name.

        rounds: How many rounds count.

        warm_ups: How many go before and do not.

        clock: The clock, in nanoseconds. `time.thread_time_ns` leaves out what other processes did meanwhile.
    """
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for number in range(-warm_ups, rounds):
        for name in sorted(contenders, reverse=bool(number % 2)):
            took = timed(contenders[name], clock)
            if number >= 0:
                times[name].append(took)
    return times


@contextmanager
def frozen(*, collecting: bool = False) -> Iterator[None]:
    """
    Keep the objects that exist now out of garbage collection while the block runs.

    Args:
        collecting: Whether the block pays for collecting its own garbage.
    """
    gc.collect()
    gc.freeze()
    if not collecting:
        gc.disable()
    try:
        yield
    finally:
        gc.enable()
        gc.unfreeze()

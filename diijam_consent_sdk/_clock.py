"""The clock that nobody sets: leases are measured by it, and wall clocks are held to it."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

# Seconds, for differences only. CLOCK_BOOTTIME goes on while the machine is suspended; where it is missing, the
# monotonic clock has to do.
steady_seconds: Callable[[], float] = (
    partial(time.clock_gettime, time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic
)

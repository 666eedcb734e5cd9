"""
What the tests of a service need: a client over a store in memory (the pytest fixture `consent`), clocks that a test
moves, and a store that can be broken.

Import `strategies` and `conformance` by themselves. Nothing here imports pytest or Hypothesis, so a run pays for
neither.
"""

from .client import AsyncConsentForTests, ConsentForTests
from .clocks import Clock, LeaseClock, WallClock
from .faulty import FaultyStore, unreachable

__all__ = [
    "AsyncConsentForTests",
    "Clock",
    "ConsentForTests",
    "FaultyStore",
    "LeaseClock",
    "WallClock",
    "unreachable",
]

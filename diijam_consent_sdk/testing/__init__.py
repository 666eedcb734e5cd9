"""
What the tests of a service need: a client over a store in memory (the pytest fixture `consent`), clocks and a store
that can be broken. `strategies` and `conformance` are modules of their own; nothing here imports pytest or Hypothesis.
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

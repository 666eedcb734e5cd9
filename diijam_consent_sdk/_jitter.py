"""Random numbers for pauses. They are not taken from the `random` that an application may have seeded for itself."""

from __future__ import annotations

from random import SystemRandom

random = SystemRandom()

"""
Load many users together, and in halves when the store refuses the batch: one user who is too large then leaves out no
others.
"""

from __future__ import annotations

import time
from math import inf

import attrs

from .._logging import log
from ..cache.user import UserConsent
from ..errors import TooLarge
from .effects import Effects
from .exchanges import Exchanges

LATE_SHARE = 0.9  # of a deadline: a failure after this much of it counts as late, since stores end calls a little early
MAX_FAILURES = 64  # of one load; after that the users not yet asked for are left out too


@attrs.define(eq=False)
class BatchLoad:
    """A load of several users that may be done in parts."""

    user_ids: dict[str, None] = attrs.field(factory=dict, repr=False)  # ordered, each once
    users: dict[str, UserConsent] = attrs.field(factory=dict, repr=False)  # those loaded so far
    left_out: set[str] = attrs.field(factory=set, repr=False)  # those who cannot be loaded although the store answers
    part_ended_at: float = -inf  # on `time.monotonic()`: when its last part was loaded, or was found to be too large


def load_in_parts(exchanges: Exchanges, load: BatchLoad) -> Effects[None]:
    """Load the users. Raises the store's error if the store is unreachable, or if only one user was asked for."""
    waiting = [list(load.user_ids)]
    failures = 0
    while waiting:
        part = waiting.pop()
        began = time.monotonic()
        try:
            _, users = yield from exchanges.load(part)
        except Exception as error:
            failures += 1
            if len(load.user_ids) <= 1 or failures > MAX_FAILURES:
                raise
            is_late = time.monotonic() - began >= LATE_SHARE * exchanges.deadline
            if not isinstance(error, TooLarge) and not (is_late and (yield from _is_reachable(exchanges))):
                raise
            if len(part) > 1:
                middle = len(part) // 2
                waiting += [part[middle:], part[:middle]]
            else:
                load.left_out.update(part)
                log.warning("user.not_to_be_loaded", error=type(error).__name__)
        else:
            load.users |= users
        load.part_ended_at = time.monotonic()


def _is_reachable(exchanges: Exchanges) -> Effects[bool]:
    """Ask the store for its head alone, which is small: whether it answers."""
    try:
        yield from exchanges.load(())
    except Exception:  # noqa: BLE001 - unreachable; the caller raises its own error
        return False
    return True

"""Load users together; those who cannot be had together in halves, so that one who is too much leaves out no others."""

from __future__ import annotations

import time

import attrs

from .._logging import log
from ..cache.user import UserConsent
from ..errors import TooLarge
from .effects import Steps
from .exchanges import Exchanges

LATE = 0.9  # of a deadline: a store ends its calls by itself, some a little earlier
MAX_FAILURES = 64  # of one load; past that those who were not asked yet are left out too


@attrs.define(eq=False)
class Parts:
    """A load that may go on in parts."""

    user_ids: dict[str, None] = attrs.field(factory=dict, repr=False)  # ordered, each once
    users: dict[str, UserConsent] = attrs.field(factory=dict, repr=False)  # those it has brought
    left_out: set[str] = attrs.field(factory=set, repr=False)  # those who could not be had, although the store is there
    parts: int = 0  # how many are over


def load_in_parts(exchanges: Exchanges, load: Parts) -> Steps[None]:
    """Load its users. Raises what the store raised if it is away, or if there is but one to load."""
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
            is_late = time.monotonic() - began >= LATE * exchanges.deadline
            if not isinstance(error, TooLarge) and not (is_late and (yield from _is_there(exchanges))):
                raise
            if len(part) > 1:
                middle = len(part) // 2
                waiting += [part[middle:], part[:middle]]
            else:
                load.left_out.update(part)
                log.warning("user.not_to_be_loaded", error=type(error).__name__)
        else:
            load.users |= users
        load.parts += 1


def _is_there(exchanges: Exchanges) -> Steps[bool]:
    """Whether the store answers at all: it is asked for its head, which is little."""
    try:
        yield from exchanges.load(())
    except Exception:  # noqa: BLE001 - then it is away, and the caller raises why
        return False
    return True

"""The follower: polls the change feed, so that whoever did not change stays fresh (protocol.md, rules 2, 3, 5, 6)."""

from __future__ import annotations

import random
from collections.abc import Callable

from .effects import Sleep, Steps
from .exchanges import Exchanges

MAX_PAUSE_SECONDS = 5.0
MAX_WAIT_SECONDS = 3600.0  # of a poll, whatever the bound: no clock of the system waits for centuries
MAX_PROOFS = 4  # after one poll, so that the next is not long in coming


def follow(
    exchanges: Exchanges,
    *,
    max_staleness: float,
    on_poll: Callable[[BaseException | None], None],
) -> Steps[None]:
    """
    Poll until the leases are closed.

    Args:
        exchanges: How the store is asked, for the leases that the feed keeps fresh.

        max_staleness: The bound B, in seconds: a poll waits up to B/4, a failed one is made again within B/6.

        on_poll: Called after each poll, with its error or None.
    """
    leases = exchanges.leases
    pause = min(MAX_PAUSE_SECONDS, max_staleness / 6)
    wait = 0.0  # the first poll, and the first after a failure, is to say at once that the feed is there
    while not leases.closed:
        try:
            if leases.applied is None:
                yield from exchanges.load_head()
            else:
                yield from exchanges.poll(leases.applied, wait)
                for head in leases.unconfirmed_heads()[:MAX_PROOFS]:
                    yield from exchanges.prove(head, is_head=True)
        except Exception as error:  # noqa: BLE001 - whatever failed, nothing is renewed by it and it is tried again
            wait = 0.0
            on_poll(error)
            yield Sleep(random.uniform(0, pause))  # noqa: S311 - jitter
        else:
            wait = min(MAX_WAIT_SECONDS, max_staleness / 4)
            on_poll(None)

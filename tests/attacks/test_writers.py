"""Writers that append as much as they can."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tests.attacks.conftest import Served

WRITERS = 24  # more than the service writes at once
FILLING = [{"type": "AccountOpened"}] + [
    {"type": "Notified", "notice": f"n-{n}", "recipient": "acme", "data": ["email"], "purpose": "marketing"}
    for n in range(999)
]


def test_a_withdrawal_waits_for_no_crowd_of_writers(served: Served, bystanders: Callable[[], Any]) -> None:
    """S3: while one token appends as much as it can, a withdrawal by the same token gets through soon."""

    def filled(_: int) -> int:
        """Append as many events as one append may have to a new user."""
        return served.ask("/v1/events/append", {"user_id": secrets.token_hex(8), "events": FILLING})[0]

    with bystanders(), ThreadPoolExecutor(WRITERS) as writers:
        assert set(writers.map(filled, range(3 * WRITERS))) <= {200, 503}

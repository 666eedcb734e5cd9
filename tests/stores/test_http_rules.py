"""What `HttpStore` asks, without a network."""

from __future__ import annotations

import msgspec
import pytest

from diijam_consent_sdk.stores import Cursor, messages
from diijam_consent_sdk.stores import _http_rules as rules


@pytest.mark.parametrize(
    ("wait", "limit", "asked"),
    [(900.0, 5_000, (60.0, 1_000)), (15.0, 1, (15.0, 1)), (0.0, 1_000, (0.0, 1_000))],
)
def test_a_poll_asks_no_more_than_one_may(wait: float, limit: int, asked: tuple[float, int]) -> None:
    """A client with a bound of an hour would wait 15 minutes: a service refuses that, so it polls more often."""
    question = rules.changes(Cursor("e", 0, "00"), wait, limit)
    sent = msgspec.json.decode(question.body()[0], type=messages.ChangesQuestion)
    assert (sent.wait, sent.limit) == asked
    assert question.wait == asked[0]
    assert question.is_repeatable == (wait == 0)

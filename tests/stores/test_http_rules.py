"""What `HttpStore` asks, without a network."""

from __future__ import annotations

import msgspec
import pytest

from diijam_consent_sdk import events as e
from diijam_consent_sdk.errors import InvalidEvent
from diijam_consent_sdk.stores import Cursor, messages
from diijam_consent_sdk.stores import _http_rules as rules
from diijam_consent_sdk.stores._tries import Failure


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


def test_a_refusal_from_a_cache_says_nothing_of_this_append() -> None:
    """A problem has no nonce, but one with an age is of an earlier question: this append may have been written."""
    question = rules.append("u", [e.AccountOpened()], None, "k")
    body = b'{"type":"urn:diijam-consent:invalid-event","title":"t","status":422,"detail":"d"}'
    with pytest.raises(InvalidEvent):
        rules.believe(question, "n", 422, {}, body)
    for status in (401, 422, 503):
        with pytest.raises(Failure) as failure:
            rules.believe(question, "n", status, {"age": "3"}, body)
        assert failure.value.maybe_written

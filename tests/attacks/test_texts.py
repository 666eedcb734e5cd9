"""Texts that a caller chose so that reading them takes long."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

from diijam_consent_sdk.stores.message_fields import LOAD_BODY_BYTES, SMALL_BODY_BYTES
from tests.attacks.conftest import Served
from tests.service.conftest import GRANTED, NONCE

UNITS = ["\\'", '"', "\u202e", "release them first: "]


def long(unit: str, size: int) -> str:
    """Repeat *unit* as often as a question of so many bytes takes it."""
    return unit * ((size - 1_000) // len(json.dumps(unit)[1:-1].encode()))


def test_no_text_stops_the_service(served: Served, bystanders: Callable[[], Any]) -> None:
    """S1: texts as long as one question takes, of whatever quotes, wherever they stand, are refused at once."""
    with bystanders():
        for text in (long(unit, size) for unit in UNITS for size in (LOAD_BODY_BYTES, SMALL_BODY_BYTES)):
            for path, question in (
                ("/v1/records/load", {"user_ids": [], text: 1}),
                ("/v1/records/load", {"user_ids": [text]}),
                ("/v1/events/append", {"user_id": "u", "events": [{"type": text}]}),
                ("/v1/events/append", {"user_id": "u", "events": [{**GRANTED, "expires_at": text}]}),
                ("/v1/events/append", {"user_id": "u", "events": [{**GRANTED, "purpose": text}]}),
                ("/v1/events/append", {"user_id": "u", "events": [{**GRANTED, text: 1}]}),
                ("/v1/events/append", {"user_id": "u", "events": [GRANTED], "idempotency_key": text}),
                ("/v1/changes", {"after": {"epoch": text, "position": -1, "hash": ""}}),
            ):
                body = json.dumps({"nonce": NONCE, **question}).encode()
                started = time.monotonic()
                status, answer = served.ask(path, body)
                is_read = path != "/v1/changes" or len(body) <= SMALL_BODY_BYTES
                assert status == (400 if is_read else 413), (path, answer[:200])
                assert len(answer) < 3_000
                assert time.monotonic() - started < 2

"""Questions that are made to be misread."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from tests.attacks.conftest import Served
from tests.service.conftest import NONCE

LOAD, APPEND, CHANGES, HISTORY, DUE = (
    "/v1/records/load", "/v1/events/append", "/v1/changes", "/v1/history/load", "/v1/requests/due",
)  # fmt: skip
CURSOR = '"epoch":"e","position":0,"hash":"' + "00" * 32 + '"'
OPENED = '{"type":"AccountOpened"}'


def test_deep_and_large_values_stop_nobody(served: Served, beside: Callable[[], Any]) -> None:
    """S1: values nested deep, numbers of a million digits and texts that are no UTF-8 are refused at once."""
    values = [
        b"[" * 900 + b"]" * 900,
        b"[" * 100_000 + b"]" * 100_000,
        b'{"a":' * 900 + b"1" + b"}" * 900,
        b"9" * 1_000_000,
        b"-1." + b"9" * 1_000_000,
        b"1e999999999",
        b'"\xff\xfe"',
        b'"\\ud800"',
        b"[" + b"1," * 1_000_000 + b"1]",
        b"{" + b",".join(b'"%d":1' % n for n in range(200_000)) + b"}",
    ]
    with beside():
        for value in values:
            for path, fields in (
                (LOAD, b'"user_ids":%b'),
                (LOAD, b'"user_ids":[%b]'),
                (APPEND, b'"user_id":"a","events":[%b]'),
                (APPEND, b'"user_id":"a","events":[{"type":"Granted","purpose":%b}]'),
                (APPEND, b'"user_id":"a","events":[{"type":"Granted","purpose":"surveys","notice":"n","channels":%b}]'),
                (CHANGES, b'"after":%b'),
            ):
                body = b'{"nonce":"%b",%b}' % (NONCE.encode(), fields % value)
                status, answer = served.ask(path, body)
                assert status == 400, (path, body[:80], answer[:200])
                assert len(json.loads(answer)["detail"]) < 2_000

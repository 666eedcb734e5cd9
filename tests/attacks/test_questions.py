"""Questions made to be misread, or to be read slowly."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from diijam_consent_sdk.stores.message_fields import APPEND_BODY_BYTES, LOAD_BODY_BYTES, SMALL_BODY_BYTES
from tests.attacks.conftest import Served
from tests.service.conftest import NONCE

LOAD, APPEND, CHANGES, HISTORY, DUE = (
    "/v1/records/load", "/v1/events/append", "/v1/changes", "/v1/history/load", "/v1/requests/due",
)  # fmt: skip
LARGEST = {LOAD: LOAD_BODY_BYTES, APPEND: APPEND_BODY_BYTES, CHANGES: SMALL_BODY_BYTES}
CURSOR = '"epoch":"e","position":0,"hash":"' + "00" * 32 + '"'
OPENED = '{"type":"AccountOpened"}'

TWO_READINGS = [
    (LOAD, '"user_ids":["a"],"user_ids":["b"]'),
    (APPEND, f'"user_id":"a","user_id":"b","events":[{OPENED}]'),
    (APPEND, f'"user_id":"a","events":[{OPENED}],"events":[{OPENED},{OPENED}]'),
    (APPEND, '"user_id":"a","events":[{"type":"AccountOpened","type":"AccountClosed"}]'),
    (APPEND, '"user_id":"a","events":[{"type":"Withdrawn","purpose":"marketing","purpose":"surveys"}]'),
    (APPEND, '"user_id":"a","events":[{"type":"AccountOpened","origin":"direct","\\u006frigin":"google"}]'),
    (HISTORY, '"user_id":"a","user_id":"b"'),
    (DUE, '"limit":1,"limit":2'),
    (CHANGES, f'"after":{{{CURSOR},"position":1}}'),
    (CHANGES, f'"after":{{{CURSOR},"more":1}}'),
    (CHANGES, f'"after":{{{CURSOR}}},"after":{{{CURSOR}}}'),
]


def test_a_question_has_one_reading(served: Served, bystanders: Callable[[], Any]) -> None:
    """S15: a key given twice and an unknown field are refused wherever they stand: each reader would read another."""
    with bystanders():
        for path, fields in TWO_READINGS:
            status, answer = served.ask(path, f'{{"nonce":"{NONCE}",{fields}}}'.encode())
            assert (fields, status, b"urn:diijam-consent:malformed" in answer) == (fields, 400, True)


def filled(unit: bytes, size: int = APPEND_BODY_BYTES) -> bytes:
    """Repeat a unit, with commas between, until the question is as large as one may be."""
    return b",".join([unit] * ((size - 200) // (len(unit) + 1)))


WORDS = b",".join([b'"b"'] * 64)
UNKNOWN_SETS = b'{"type":"Granted",%b}' % b",".join(b'"f%d":[%b]' % (n, WORDS) for n in range(14))
SLOW = [
    (APPEND, b'"user_id":"a","events":[%b]' % filled(b'{"a":[%b]}' % WORDS)),
    (APPEND, b'"user_id":"a","events":[%b]' % filled(UNKNOWN_SETS)),
    (APPEND, b'"user_id":"a","events":[{%b}]' % filled(b'"type":"AccountOpened"')),
    (APPEND, b'"user_id":"a","events":[{%b}]' % filled(b'"":""')),
    (LOAD, filled(b'"user_ids":[]', LOAD_BODY_BYTES)),
    (LOAD, b'"user_ids":[%b]' % b",".join(b'"%b%d"' % (b"\\u0301" * 240, n) for n in range(700))),
]


def test_questions_that_take_long_to_read_stop_nobody(served: Served, bystanders: Callable[[], Any]) -> None:
    """S1: questions as large as may be, made to be decoded slowly, by eight askers at once, hold up nobody."""
    with bystanders(), ThreadPoolExecutor(8) as askers:
        asked = [(path, b'{"nonce":"%b",%b}' % (NONCE.encode(), fields)) for path, fields in SLOW] * 5
        statuses = list(askers.map(lambda question: served.ask(*question)[0], asked))
    assert statuses == [400, 400, 400, 400, 400, 200] * 5


def test_deep_and_large_values_stop_nobody(served: Served, bystanders: Callable[[], Any]) -> None:
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
        b"[" + b"1," * 500_000 + b"1]",
        b"{" + b",".join(b'"%d":1' % n for n in range(80_000)) + b"}",
    ]
    with bystanders():
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
                assert status == (400 if len(body) <= LARGEST[path] else 413), (path, body[:80], answer[:200])
                assert len(json.loads(answer)["detail"]) < 2_000

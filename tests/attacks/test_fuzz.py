"""Random questions: none causes a failure of the service, a late answer or unbounded memory."""

from __future__ import annotations

import copy
import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from diijam_consent_sdk.stores import wire
from diijam_consent_sdk.stores.messages import PATHS
from diijam_consent_sdk.stores.wire import EVENT_TYPES
from diijam_consent_sdk.vocabulary import Channel, Field, HoldKind, Purpose, RequestKind
from tests.attacks.conftest import Served
from tests.domain.samples import EACH_EVENT
from tests.service.conftest import NONCE

LATE_SECONDS = 2.0
CURSOR = {"epoch": "e", "position": 0, "hash": "00" * 32}
QUESTIONS: dict[str, dict[str, Any]] = {
    "/v1/records/load": {"user_ids": ["u-1", "u-2"]},
    "/v1/events/append": {"user_id": "u-1", "events": [], "expected_version": 0, "idempotency_key": "k"},
    "/v1/history/load": {"user_id": "u-1", "after": 0},
    "/v1/requests/due": {"after": "u", "limit": 10},
    "/v1/changes": {"after": CURSOR, "wait": 0.0, "limit": 10},
}
WORDS = [*EVENT_TYPES, *Purpose, *Channel, *Field, *HoldKind, *RequestKind, "type", "purpose", "channels", "nonce"]
TEXTS = st.one_of(
    st.text(max_size=40),
    st.sampled_from(WORDS),
    st.sampled_from(["\\'", '"', "\u202e", "\x00", "\ud800", "'\\"]).map(lambda unit: unit * 5_000),
    st.sampled_from(["2026-11-29T00:00:00Z", "9999-12-31T23:59:59+23:59", "0001-01-01T00:00:00-23:59", "2026-02-30"]),
)
LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.sampled_from([2**31, 2**53, 2**63, 2**64, -(2**63) - 1, 10**400, -1]),
    st.floats(),
    TEXTS,
)
VALUES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4), max_leaves=8
) | st.integers(100, 2_000).map(lambda depth: json.loads("[" * 50 + "]" * 50) if depth < 500 else ["x"] * depth)


def places(value: Any) -> list[tuple[Any, Any]]:
    """Find all containers in a value, with each key in them."""
    keys = list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    return [place for key in keys for place in ((value, key), *places(value[key]))]


@st.composite
def bodies(draw: st.DrawFn, path: str) -> bytes:
    """Make a question of the path, with parts replaced, dropped, renamed or given twice, or with broken bytes."""
    question = {"nonce": NONCE, **copy.deepcopy(QUESTIONS[path])}
    if "events" in question:
        question["events"] = [
            wire.event_fields(event) for event in draw(st.lists(st.sampled_from(EACH_EVENT), max_size=3))
        ]
        question = json.loads(wire.encode(question))
    for _ in range(draw(st.integers(0, 3))):
        container, key = draw(st.sampled_from(places(question) or [({}, "")]))
        change = draw(st.sampled_from(["replace", "drop", "add"]))
        if change == "replace" or isinstance(container, list):
            container[key] = draw(VALUES)
        elif change == "drop":
            container.pop(key, None)
        else:
            container[draw(TEXTS)] = draw(VALUES)
    data = json.dumps(question).encode()
    if draw(st.integers(0, 4)) == 0:
        at = draw(st.integers(0, len(data)))
        data = data[:at] + draw(st.binary(max_size=20)) + data[at + draw(st.integers(0, 20)) :]
    if draw(st.integers(0, 4)) == 0 and data.startswith(b"{"):
        data = data[:-1] + b"," + data[1:]  # each key twice
    return data


@pytest.mark.parametrize("path", QUESTIONS)
def test_whatever_is_sent_is_answered(served: Served, bystanders: Callable[[], Any], path: str) -> None:
    """No question, however odd, is answered with a failure of the service or late, or keeps memory."""
    assert set(QUESTIONS) == set(PATHS.values())
    connection = served.connect()
    headers = {"Authorization": f"Bearer {served.token}", "Content-Type": "application/json"}
    before = served.memory()

    @given(body=bodies(path))
    @settings(
        max_examples=150,
        database=None,
        phases=(Phase.explicit, Phase.generate),
        suppress_health_check=list(HealthCheck),
    )
    def is_answered(body: bytes) -> None:
        started = time.monotonic()
        connection.request("POST", path, body, headers)
        answer = connection.getresponse()
        said = answer.read()
        assert answer.status in {200, 400, 409, 413, 422}, (answer.status, said, body)
        assert time.monotonic() - started < LATE_SECONDS, body

    with bystanders():
        is_answered()
    connection.close()
    assert served.memory() - before < 200 * 2**20
    assert not [line for line in served.process.said if '"level": "error"' in line]

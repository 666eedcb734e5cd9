"""Records, histories and lists as large as the policy allows, loaded again and again."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from typing import Any

import pytest

from diijam_consent_sdk import ConsentClient, Market, Reason
from diijam_consent_sdk import events as e
from diijam_consent_sdk.stores import HttpStore, SqliteStore
from diijam_consent_sdk.stores.message_fields import MAX_ANSWER_BYTES
from tests.attacks.conftest import Served
from tests.attacks.test_connections import connected
from tests.service.conftest import GRANTED, NONCE, OPENED

LARGE = 12  # users whose records are as large as they may be
ASKERS = 8
FIELDS = {"email", "phone", "address", "birth_date", "gender", "location", "device", "payment", "listening_history"}


def large_id(number: int) -> str:
    """Make an id as long as an id may be."""
    return f"{number:06}" + "𠮷" * 250


@pytest.fixture
def ledger(served: Served) -> Iterator[SqliteStore]:
    """Open the served ledger in this process too."""
    store = SqliteStore(served.ledger)
    yield store
    store.close()


@pytest.fixture
def large(ledger: SqliteStore) -> list[str]:
    """Make users with as many notices and holds, and as long ids, as the policy allows."""
    users = [f"large-{number}" for number in range(LARGE)]
    for user in users:
        noticed = [e.Notified(large_id(n), large_id(n), FIELDS, "marketing") for n in range(1_000)]
        ledger.append(user, [e.AccountOpened(), *noticed[:-1]])
        ledger.append(user, [e.HoldPlaced(large_id(n), "debt", FIELDS) for n in range(1_000)])
    return users


def at_once(call: Callable[[], Any]) -> list[Any]:
    """Make the call twice by each of several askers at once."""
    with ThreadPoolExecutor(ASKERS) as askers:
        return [each.result() for each in [askers.submit(call) for _ in range(2 * ASKERS)]]


def test_large_records_stop_nobody(served: Served, bystanders: Callable[[], Any], large: list[str]) -> None:
    """S2: loads past 32 MiB are refused, those below answered; nobody waits for them, and memory is bounded."""
    before = served.memory()
    with bystanders():
        assert {served.ask("/v1/records/load", {"user_ids": large * 80})[0] for _ in range(3)} == {413}
        assert {status for status, _ in at_once(lambda: served.ask("/v1/records/load", {"user_ids": large}))} == {413}
        answers = at_once(lambda: len(served.ask("/v1/records/load", {"user_ids": large[:3] * 20})[1]))
        assert max(answers) < MAX_ANSWER_BYTES
    assert served.memory() - before < 1_000 * 2**20


def test_large_records_leave_out_no_others(served: Served, bystanders: Callable[[], Any], large: list[str]) -> None:
    """S4: a client that asks for large users among others, together past 32 MiB, has an answer for each of them."""
    others = [f"small-{number}" for number in range(44)]
    for user in others:
        assert served.ask("/v1/events/append", {"user_id": user, "events": [OPENED, GRANTED]})[0] == 200
    users = [user for pair in zip(others, large * 4, strict=False) for user in pair]
    with (
        bystanders(),
        closing(HttpStore(served.url, token=served.token, deadline=30)) as store,
        ConsentClient(store, follow=False, deadline=30) as client,
    ):
        reasons = {user.user_id: user.decide(Market("email")).reason for user in client.users(users)}
        permitted = list(client.permitted(users, Market("email")))
    assert {user for user, why in reasons.items() if why is Reason.CONSENTED} == set(others)
    assert Reason.UNAVAILABLE not in reasons.values()
    assert set(permitted) == set(others)


def test_a_long_history_holds_up_no_writer(served: Served, bystanders: Callable[[], Any], ledger: SqliteStore) -> None:
    """S3: repeats of a keyed append of a user with tens of thousands of entries, and its history, hold up nobody."""
    choices: list[e.Event] = [e.Objected("payment"), e.ObjectionLifted("payment")] * 500
    ledger.append("long", [e.AccountOpened()])
    for _ in range(20):
        ledger.append("long", choices)
    keyed = {"user_id": "long", "events": [{"type": "Objected", "purpose": "payment"}], "idempotency_key": "k"}
    assert served.ask("/v1/events/append", keyed)[0] == 200
    ledger.append("long", choices)
    with bystanders():
        statuses = {status for status, _ in at_once(lambda: served.ask("/v1/events/append", keyed))}
        assert statuses <= {200, 504}  # one of them at a time; of the others the outcome is unknown to the caller
        assert 200 in statuses
        assert {served.ask("/v1/history/load", {"user_id": "long"})[0] for _ in range(3)} == {200}


def test_work_lists_hold_up_no_load(served: Served, bystanders: Callable[[], Any], ledger: SqliteStore) -> None:
    """S11: many who list requests, on a ledger of many users who made some once, hold up nobody."""
    for number in range(200):
        user = f"asked-{number:04}"
        ledger.append(user, [e.AccountOpened(), *(e.RequestFiled(large_id(n), "access") for n in range(40))])
        if number % 4:
            ledger.append(user, [e.RequestResolved(large_id(n), "fulfilled") for n in range(40)])

    def listed() -> int:
        """Read the whole list."""
        after, found = None, 0
        while True:
            status, body = served.ask("/v1/requests/due", {"after": after})
            assert status == 200
            page = json.loads(body)
            found, after = found + len(page["records"]), page["after"]
            if after is None:
                return found

    with bystanders():
        assert set(at_once(listed)) == {50}


def test_large_answers_that_nobody_reads_take_little_memory(
    served: Served, large: list[str], bystanders: Callable[[], Any]
) -> None:
    """A client that asks for much on many connections and reads nothing has not all of it kept for it."""
    body = json.dumps({"nonce": NONCE, "user_ids": large[:4]}).encode()
    assert len(served.ask("/v1/records/load", body)[1]) > MAX_ANSWER_BYTES // 4
    let_in = f"Authorization: Bearer {served.token}\r\n"
    head = f"POST /v1/records/load HTTP/1.1\r\nHost: a\r\n{let_in}Content-Length: {len(body)}\r\n\r\n".encode()
    before = served.memory()
    with bystanders(), ExitStack() as stack:
        for _ in range(60):
            stack.enter_context(connected(served, head + body))
        time.sleep(8)
        assert served.memory() - before < 400 * 2**20

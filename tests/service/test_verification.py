"""A service that verifies its ledger in the background, and what it does once the ledger is broken."""

from __future__ import annotations

import asyncio
import signal
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from structlog.testing import capture_logs

from diijam_consent_sdk import ConsentClient, Reason
from diijam_consent_sdk import events as e
from diijam_consent_sdk.errors import LedgerBroken, StoreUnavailable, StoreUnusable
from diijam_consent_sdk.service import create_app
from diijam_consent_sdk.service.board import Board
from diijam_consent_sdk.service.feed import ChangeFeed
from diijam_consent_sdk.service.store_executor import StoreExecutor
from diijam_consent_sdk.service.verification import CERTAIN_FAILURES, Verification
from diijam_consent_sdk.stores import HttpStore, MemoryStore, PostgresStore, SqliteStore, Store
from diijam_consent_sdk.stores.sql.chain_walk import ChainPage
from diijam_consent_sdk.stores.sqlite.store import SqliteDatabaseStore
from tests.service.conftest import GRANTED, NONCE, OPENED, WITHDRAWN, Ask, Start
from tests.service.processes import Process
from tests.service.test_problems import is_problem
from tests.stores import cluster

SOON = timedelta(milliseconds=20)
SIGNED_UP = (e.AccountOpened(), e.Granted("marketing", "promo", {"email"}))


def until(what: Callable[[], object]) -> None:
    """Wait until something is so."""
    end = time.monotonic() + 20
    while not what():
        assert time.monotonic() < end
        time.sleep(0.01)


def figures(url: str) -> dict[str, float]:
    """The figures of the service about its verification."""
    lines = httpx.get(f"{url}/metrics").text.splitlines()
    rows = [line.removeprefix("diijam_consent_").split() for line in lines if not line.startswith("#")]
    return {name: float(value) for name, value in rows if name.startswith(("verif", "ledger"))}


def alter(store: SqliteDatabaseStore) -> None:
    """Alter the event of the first entry behind the store's back."""
    with store._database.writing(None) as db:
        db.execute("BEGIN IMMEDIATE")
        db.execute("UPDATE entries SET event = replace(event, 'direct', 'google') WHERE position = 1")


def test_metrics_show_what_was_verified_and_when(start: Start) -> None:
    """The position of the last whole walk follows the appends, and the time is that of the walk."""
    store = MemoryStore()
    service = start(store, verify_every=SOON)
    store.append("u-1", SIGNED_UP)
    until(lambda: figures(service.url)["verified_position"] == 2)
    found = figures(service.url)
    assert found.keys() == {
        "verified_position", "verified_timestamp_seconds", "verifying_position", "ledger_broken"
    }  # fmt: skip
    assert found["ledger_broken"] == 0
    assert abs(found["verified_timestamp_seconds"] - time.time()) < 60


def test_a_service_that_does_not_verify_shows_nothing_of_it(start: Start) -> None:
    """No figure says that a ledger is whole which nobody verified."""
    assert figures(start().url) == {}


def test_a_broken_ledger_answers_nothing_and_takes_noes(start: Start, ask_as: Ask, tmp_path: Path) -> None:
    """Standings, records, histories, changes and lists are 503 `ledger-broken`, and so is a yes; a no is written."""
    store = SqliteStore(tmp_path / "ledger.db")
    with capture_logs() as lines:
        service = start(store, verify_every=SOON)
        asker = ask_as(service)
        asker.append("u-1", OPENED, GRANTED)
        head = asker.head()
        alter(store)
        until(lambda: figures(service.url)["ledger_broken"])
    questions: dict[str, dict[str, Any]] = {
        "/v1/standings/load": {"user_ids": ["u-1"]},
        "/v1/records/load": {"user_ids": ["u-1"]},
        "/v1/history/load": {"user_id": "u-1"},
        "/v1/changes": {"after": head, "wait": 20},
        "/v1/requests/due": {},
        "/v1/events/append": {"user_id": "u-1", "events": [GRANTED]},
    }
    for path, question in questions.items():
        answer = asker.post(path, {"nonce": NONCE, **question})
        is_problem(answer, "ledger-broken")
        assert (answer.status_code, answer.json()["position"]) == (503, 1)
    is_problem(httpx.get(f"{service.url}/healthz"), "ledger-broken")
    for batch in ([WITHDRAWN, GRANTED], [OPENED]):
        answer = asker.post("/v1/events/append", {"nonce": NONCE, "user_id": "u-2", "events": batch})
        is_problem(answer, "ledger-broken")
    answer = asker.append("u-1", WITHDRAWN)
    assert (answer["version"], "record" in answer) == (3, False)
    assert [type(entry.event) for entry in store.history("u-1")][2:] == [e.Withdrawn]
    assert store.history("u-2") == []
    told = [line for line in lines if line["event"] == "service.ledger_broken"]
    assert told == [
        {"event": "service.ledger_broken", "log_level": "error", "position": 1, "cause": "its content was altered"}
    ]


def test_a_poll_that_waits_is_ended(start: Start, ask_as: Ask) -> None:
    """A client's long poll is answered when the ledger is found broken, and not as if nothing had changed."""
    store = MemoryStore()
    service = start(store, verify_every=SOON)
    asker = ask_as(service)
    asker.append("u-1", OPENED)
    answers: list[httpx.Response] = []
    question = {"nonce": NONCE, "after": asker.head(), "wait": 60}
    poll = threading.Thread(target=lambda: answers.append(asker.post("/v1/changes", question)))
    poll.start()
    until(lambda: service.app.state.context.feed.held)
    alter(store)
    poll.join(20)
    is_problem(answers[0], "ledger-broken")


def test_clients_are_told_over_http_and_through_a_relay(start: Start, token_files: tuple[Path, dict[str, str]]) -> None:
    """`HttpStore` raises `LedgerBroken` with the position, over a relay too; a no goes through both."""
    store, token = MemoryStore(), token_files[1]["both"]
    service = start(store, verify_every=SOON)
    with closing(HttpStore(service.url, token=token)) as upstream:
        relay = start(upstream)
        upstream.append("u-1", SIGNED_UP)
        alter(store)
        until(lambda: figures(service.url)["ledger_broken"])
        with closing(HttpStore(relay.url, token=token)) as far:
            for one in (upstream, far):
                with pytest.raises(LedgerBroken) as caught:
                    one.load(["u-1"])
                assert caught.value.position == 1
                with pytest.raises(LedgerBroken):
                    one.append("u-1", [e.Granted("surveys", "n")])
                assert one.append("u-1", [e.Withdrawn("surveys")], idempotency_key="k").record is None
        is_problem(httpx.get(f"{relay.url}/healthz"), "ledger-broken")
    assert len(store.history("u-1")) == 3  # the second no had the first one's key


def test_a_relay_cannot_verify(token_files: tuple[Path, dict[str, str]]) -> None:
    """It has no ledger, and says where to verify."""
    with (
        closing(HttpStore("http://127.0.0.1:1", token="t")) as store,
        pytest.raises(ValueError, match="a relay has no"),
    ):
        create_app(store, tokens=token_files[0], verify_every=SOON)


class _Pages(MemoryStore):
    """A ledger in memory whose pages fail, or hang, first."""

    def __init__(self, *failures: Exception) -> None:
        super().__init__()
        self.failures = list(failures)
        self.asked = threading.Event()
        self.hold: threading.Event | None = None

    def chain_page(self, after: int, limit: int) -> ChainPage:
        """See `SqlStore.chain_page`."""
        self.asked.set()
        if self.hold is not None:
            assert self.hold.wait(20)
        if self.failures:
            raise self.failures.pop(0)
        return super().chain_page(after, limit)


async def walked(store: Store, until_so: Callable[[Verification], object]) -> Verification:
    """Start the walks over a store, an hour apart, and stop them once something is so."""
    executor = StoreExecutor(store)
    verification = Verification(executor, ChangeFeed(executor), timedelta(hours=1), Board(1))
    await verification.start()
    async with asyncio.timeout(20):
        while not until_so(verification):  # noqa: ASYNC110 - another thread makes it so
            await asyncio.sleep(0.01)
    await verification.stop()
    return verification


@pytest.mark.parametrize("failure", [StoreUnavailable("away"), RuntimeError("unforeseen")], ids=["away", "unforeseen"])
def test_a_page_that_cannot_be_read_is_read_again(failure: Exception) -> None:
    """An outage is no break: the walk goes on where it was."""
    store = _Pages(failure, failure)
    head = store.append("u-1", SIGNED_UP).cursor
    verification = asyncio.run(walked(store, lambda walks: walks.verified))
    assert (verification.verified, verification.is_broken, store.failures) == (head, False, [])


def test_a_ledger_that_cannot_be_trusted_is_broken() -> None:
    """What the store itself calls unusable, again and again, is a break after the last position that was verified."""
    store = _Pages(*[StoreUnusable("the database is damaged")] * (CERTAIN_FAILURES + 1))
    verification = asyncio.run(walked(store, lambda walks: walks.is_broken))
    with pytest.raises(LedgerBroken, match="position 1: the database is damaged"):
        asyncio.run(verification._store.head())


def test_a_moment_in_which_the_store_is_unusable_is_no_break() -> None:
    """As when a pooler is full, or during a migration: the walk goes on, and nobody has to restart the service."""
    store = _Pages(StoreUnavailable("it is away"), *[StoreUnusable("the database is damaged")] * CERTAIN_FAILURES)
    head = store.append("u-1", SIGNED_UP).cursor
    verification = asyncio.run(walked(store, lambda walks: walks.verified))
    assert (verification.verified, verification.is_broken, store.failures) == (head, False, [])


def test_a_walk_under_way_can_be_stopped() -> None:
    """A page that hangs is not waited for."""
    store = _Pages()
    store.hold = threading.Event()
    verification = asyncio.run(walked(store, lambda _: store.asked.is_set()))
    assert verification.verified is None
    store.hold.set()


@pytest.fixture(params=["sqlite", "postgres"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of a ledger in a file, and of one in PostgreSQL."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/c.db"
        return
    url = cluster.shared().ledger()
    yield url
    cluster.shared().give_back(url)


@pytest.fixture
def served(place: str, token_files: tuple[Path, dict[str, str]]) -> Iterator[Callable[[], Process]]:
    """Start services over the ledger in processes of their own, which verify it each second."""
    started: list[Process] = []

    def start() -> Process:
        started.append(Process(place, token_files[0], verify_seconds=1))
        return started[-1]

    yield start
    for one in started:
        one.kill()


def execute(place: str, statement: str) -> None:
    """Change the ledger behind the back of its services."""
    if place.startswith("sqlite"):
        with closing(sqlite3.connect(place.removeprefix("sqlite:///"), isolation_level=None, timeout=5)) as db:
            db.execute(statement)
    else:
        with psycopg.connect(place) as connection:
            connection.execute("SET search_path = diijam_consent")
            connection.execute(statement.encode())


def test_caches_run_out_once_the_ledger_is_broken(
    place: str, served: Callable[[], Process], token_files: tuple[Path, dict[str, str]]
) -> None:
    """
    A client's cached yes ends with its lease, a no is written, a yes is not; once the ledger was repaired and the
    service started again, all is answered as before, and the no stands.
    """
    process = served()
    url, token = process.listening(), token_files[1]["both"]
    with ConsentClient.from_url(url, token=token, max_staleness=2.0) as consent:
        consent.record("u-1", *SIGNED_UP)
        consent.record("u-2", *SIGNED_UP)
        assert consent.can_market("u-1", "email")
        execute(place, "UPDATE entries SET version = 7 WHERE position = 1")
        assert process.until("service.ledger_broken")
        until(lambda: not consent.can_market("u-1", "email"))
        assert consent.can_market("u-1", "email").reason in {Reason.UNAVAILABLE, Reason.STALE}
        assert consent.record("u-1", e.Withdrawn("marketing")).record is None
        with pytest.raises(LedgerBroken):
            consent.record("u-2", e.Granted("surveys", "n"))
        assert not consent.can_market("u-2", "email")
        assert "ledger is broken" in str(consent.status().last_error)
        assert httpx.get(f"{url}/healthz").status_code == 503
        execute(place, "UPDATE entries SET version = 1 WHERE position = 1")
        assert httpx.get(f"{url}/healthz").status_code == 503  # a walk that broke off is not taken up
    process.signal(signal.SIGTERM)
    assert process.end() == 0
    again = served()
    with ConsentClient.from_url(again.listening(), token=token, follow=False) as consent:
        assert consent.can_market("u-1", "email").reason is Reason.WITHDRAWN
        assert consent.can_market("u-2", "email")
    assert again.until("service.ledger_verified")


def test_several_services_verify_while_others_write(
    place: str, served: Callable[[], Process], token_files: tuple[Path, dict[str, str]]
) -> None:
    """Two processes walk over one ledger, which is written to and erased from through both: neither finds a break."""
    processes = [served(), served()]
    urls = [process.listening() for process in processes]
    stores = [HttpStore(url, token=token_files[1]["both"], deadline=10) for url in urls]
    for number in range(60):
        store = stores[number % 2]
        store.append(f"u-{number}", SIGNED_UP)
        if number % 3 == 0:
            store.append(f"u-{number}", [e.AccountClosed()])
            store.append(f"u-{number}", [e.Erased()])
    for url in urls:
        until(lambda url=url: figures(url)["verified_position"] == 60 * 2 + 20 * 2)  # type: ignore[misc]
        assert figures(url)["ledger_broken"] == 0
    for store in stores:
        store.close()


def test_a_service_stops_during_a_walk(
    place: str, served: Callable[[], Process], token_files: tuple[Path, dict[str, str]]
) -> None:
    """SIGTERM ends it in order, long before the walk would end."""
    is_file = place.startswith("sqlite")
    store = SqliteStore(place.removeprefix("sqlite:///")) if is_file else PostgresStore(place, deadline=60)
    for number in range(20):
        store.append(f"u-{number}", [OPENED_EVENT, *[e.Withdrawn("surveys")] * 999])
    store.close()
    process = served()
    url = process.listening()
    until(lambda: figures(url)["verifying_position"])
    process.signal(signal.SIGTERM)
    assert process.end() == 0
    assert not any("service.ledger_verified" in line or "Traceback" in line for line in process.said)


OPENED_EVENT = e.AccountOpened()

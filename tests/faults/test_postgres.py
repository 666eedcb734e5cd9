"""Several services over one PostgreSQL: who withdraws at one is refused at the other, whatever dies meanwhile."""

from __future__ import annotations

import signal
import statistics
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import attrs
import pytest

from diijam_consent_sdk import ConsentClient
from diijam_consent_sdk import events as e
from diijam_consent_sdk.errors import StoreError
from diijam_consent_sdk.service.scopes import Scope
from diijam_consent_sdk.service.token_changes import new_token
from diijam_consent_sdk.stores import HttpStore, PostgresStore, Store
from tests.faults.conftest import Service
from tests.stores.cluster import Cluster, running

B = 1.0
GRANTED, WITHDRAWN = e.Granted("marketing", "promo", ["email"]), e.Withdrawn("marketing")


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    """A server that the test may kill."""
    with running() as cluster:
        yield cluster


@attrs.frozen
class Fleet:
    """Services over one ledger."""

    ledger: str
    services: tuple[Service, ...]

    def store(self, number: int, deadline: float = 10) -> HttpStore:
        """A store behind one of them."""
        return HttpStore(self.services[number].url, token=self.services[number].token, deadline=deadline)


@pytest.fixture
def fleet(cluster: Cluster, tmp_path: Path) -> Iterator[Fleet]:
    """Two services, each a process, over one PostgreSQL."""
    token = new_token(tmp_path / "tokens.json", "tests", [Scope.ASK, Scope.LIST, Scope.READ, Scope.WRITE])
    url = cluster.ledger()
    with ExitStack() as stack:
        services = []
        for _ in range(2):
            services.append(Service(tmp_path, token))
            stack.callback(services[-1].end, signal.SIGTERM)
            services[-1].start(url)
        yield Fleet(url, tuple(services))


def delays(writer: Store, client: ConsentClient, count: int) -> list[float]:
    """How long after each withdrawal was acknowledged a client of another service still said yes, in seconds."""
    found = []
    for number in range(count):
        user_id = f"u-{number}"
        writer.append(user_id, [e.AccountOpened(), GRANTED])
        end = time.monotonic() + 10
        while not client.can_market(user_id, "email"):
            assert time.monotonic() < end
        writer.append(user_id, [WITHDRAWN])
        acknowledged = time.monotonic()
        while client.can_market(user_id, "email"):
            time.sleep(0.001)
        found.append(time.monotonic() - acknowledged)
    return found


def test_a_withdrawal_at_one_service_is_seen_at_the_other(fleet: Fleet) -> None:
    """News travel through PostgreSQL at once: half of them within 250 ms also on a busy machine, all within B."""
    with closing(fleet.store(0)) as writer, closing(fleet.store(1)) as store, ConsentClient(store) as client:
        found = delays(writer, client, 30)
    assert statistics.median(found) < 0.25
    assert max(found) < B


@attrs.define
class Toggler(threading.Thread):
    """Grants and withdraws for one user, again and again, and notes for how long nothing was granted for certain."""

    store: Store
    user_id: str
    stop: threading.Event
    denied: list[tuple[float, float]] = attrs.field(factory=list)
    acknowledged: int = 0
    unsure: int = 0

    def __attrs_pre_init__(self) -> None:
        super().__init__(daemon=True)

    __hash__ = object.__hash__

    def run(self) -> None:
        """Write until stopped."""
        self._insist(e.AccountOpened())
        while not self.stop.is_set():
            self._insist(GRANTED)
            self.stop.wait(0.3)
            self._insist(WITHDRAWN)
            since = time.monotonic()
            self.stop.wait(2 * B)
            self.denied.append((since, time.monotonic()))

    def _insist(self, event: e.Event) -> None:
        """Append with one key until it is definite."""
        key = f"k-{self.acknowledged}"
        while True:
            try:
                self.store.append(self.user_id, [event], idempotency_key=key)
            except StoreError:
                self.unsure += 1
                time.sleep(0.05)
            else:
                self.acknowledged += 1
                return


def test_postgresql_is_killed_under_load(cluster: Cluster, fleet: Fleet) -> None:
    """
    PostgreSQL dies by `kill -9` twice under load and comes back: no acknowledged entry is lost, nobody says yes more
    than B after a withdrawal was acknowledged, and services and clients recover by themselves.
    """
    stop = threading.Event()
    users = [f"u-{number}" for number in range(4)]
    yeses: list[tuple[str, float]] = []
    with ExitStack() as stack:
        stores = [stack.enter_context(closing(fleet.store(n % 2, deadline=1))) for n in range(6)]
        stores_of_clients: list[Store] = [*stores[4:], stack.enter_context(closing(PostgresStore(fleet.ledger)))]
        clients = [stack.enter_context(ConsentClient(s, max_staleness=B, deadline=0.3)) for s in stores_of_clients]
        togglers = [Toggler(stores[number], user_id, stop) for number, user_id in enumerate(users)]

        def watch(client: ConsentClient) -> None:
            while not stop.is_set():
                for user_id in users:
                    asked = time.monotonic()
                    if client.can_market(user_id, "email"):
                        yeses.append((user_id, asked))
                time.sleep(0.005)

        watchers = [threading.Thread(target=watch, args=(client,), daemon=True) for client in clients]
        for thread in [*togglers, *watchers]:
            thread.start()
        for _ in range(2):
            time.sleep(2.5)
            cluster.kill()
            time.sleep(0.5)
            cluster.start()
        time.sleep(3)
        stop.set()
        for thread in [*togglers, *watchers]:
            thread.join(30)
        assert not [
            (user_id, at - since)
            for toggler in togglers
            for since, until in toggler.denied
            for user_id, at in yeses
            if user_id == toggler.user_id and since + B < at < until
        ]
        assert {user_id for user_id, _ in yeses} == set(users)
        assert sum(toggler.unsure for toggler in togglers) > 0
        for toggler in togglers:
            assert len(stores[0].history(toggler.user_id)) == toggler.acknowledged
        stores[0].append("u-new", [e.AccountOpened(), GRANTED])
        end = time.monotonic() + 3 * B
        while not all(client.can_market("u-new", "email") for client in clients):
            assert time.monotonic() < end
    with closing(PostgresStore(fleet.ledger)) as store:
        assert store.load([]).cursor.position == sum(toggler.acknowledged for toggler in togglers) + 2

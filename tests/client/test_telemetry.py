"""A client's figures as OpenTelemetry metrics, read by the real SDK."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import pytest
from opentelemetry import metrics
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

from diijam_consent_sdk import AsyncConsentClient, ConsentClient
from diijam_consent_sdk import events as e
from diijam_consent_sdk.client import telemetry
from diijam_consent_sdk.status import Status
from diijam_consent_sdk.stores import MemoryStore
from diijam_consent_sdk.testing import FaultyStore, unreachable
from tests.client.conftest import SIGNED_UP, eventually

DOCUMENT = Path(__file__).parents[2] / "docs" / "telemetry.md"
Read = Callable[[object], dict[tuple[str, str], float]]
Point = tuple[str, dict[str, Any], float, str]


@pytest.fixture(scope="session")
def reader() -> InMemoryMetricReader:
    """The reader of an application that sets its provider up when clients may be there already."""
    reader = InMemoryMetricReader()
    metrics.set_meter_provider(MeterProvider([reader]))
    return reader


def points(reader: InMemoryMetricReader) -> list[Point]:
    """Read everything that is reported: names, attributes, values and units."""
    data: Any = reader.get_metrics_data()
    return [
        (metric.name, dict(point.attributes), point.value, metric.unit)
        for resource in data.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
        for point in metric.data.data_points
    ]


@pytest.fixture
def read(reader: InMemoryMetricReader) -> Read:
    """Reads what is reported of one client: values by instrument and reason."""

    def of(client: object) -> dict[tuple[str, str], float]:
        (number,) = [number for number, seen in telemetry._clients.items() if seen.ref() is client]
        return {
            (name.removeprefix("diijam_consent."), attributes.get("reason", "")): value
            for name, attributes, value, _ in points(reader)
            if attributes["client"] == str(number)
        }

    return of


def test_figures_are_those_of_status(read: Read) -> None:
    """Each figure of `status` is reported, denials by reason, and so is a feed that is down."""
    store = FaultyStore(MemoryStore())
    store.inner.append("u", SIGNED_UP)
    with ConsentClient(store, max_staleness=1, deadline=0.2) as consent:
        assert read(consent).keys() == {("ready", ""), ("users", ""), ("hits", ""), ("misses", "")}
        consent.can_market("u", "email")
        consent.can_market("u", "email")
        consent.can_market("u", "call")
        assert eventually(lambda: consent.status().feed == "up")
        told, status = read(consent), consent.status()
        assert told["ready", ""] == told["feed.up", ""] == told["users", ""] == told["misses", ""] == 1
        assert (told["hits", ""], told["position", ""]) == (status.hits, 2)
        assert told["denials", "not_consented"] == 1
        assert 0 <= told["age", ""] < 1
        assert status.feed_since is not None
        assert told["feed.since", ""] == status.feed_since.timestamp()
        store.broken = unreachable()
        assert eventually(lambda: consent.status().feed == "down")
        assert (read(consent)["ready", ""], read(consent)["feed.up", ""]) == (0, 0)
    told = read(consent)
    assert ("feed.up", "") not in told
    assert told["ready", ""] == 0


def test_both_clients_are_observed(read: Read) -> None:
    """The async client is reported as well, apart from others."""
    consent, other = AsyncConsentClient(MemoryStore()), ConsentClient(MemoryStore())
    other.can_market("u", "email")
    assert read(consent)["misses", ""] == 0
    assert read(other)["denials", "unknown_user"] == 1
    other.close()


def test_no_attribute_names_a_user(reader: InMemoryMetricReader) -> None:
    """Whatever was asked about any user, attributes are the client's number and a reason."""
    with ConsentClient(MemoryStore()) as consent:
        consent.record(
            "secret-user", *SIGNED_UP, e.Notified("secret-notice", "secret-recipient", {"email"}, "marketing")
        )
        consent.can_share("secret-user", "secret-recipient", {"email"}, "marketing")
        told = points(reader)
    assert {key for _, attributes, _, _ in told for key in attributes} == {"client", "reason"}
    assert "secret" not in str(told)


class Counting:
    """A client whose counts the test sets."""

    def __init__(self) -> None:
        with ConsentClient(MemoryStore()) as consent:
            self.now = consent.status()

    def status(self) -> Status:
        """See `ConsentClient.status`."""
        return self.now


def test_a_counter_never_goes_back(read: Read) -> None:
    """A count that threads lost, or that was taken back, is no restart of the process."""
    client = Counting()
    telemetry.observe(client)
    for hits, told in ((5, 5), (3, 5), (6, 6)):
        client.now = attrs.evolve(client.now, hits=hits)
        assert read(client)["hits", ""] == told


def test_a_client_that_is_gone_is_forgotten() -> None:
    """Being observed keeps no client alive, and leaves nothing behind."""
    client = Counting()
    telemetry.observe(client)
    before = len(telemetry._clients)
    del client
    assert len(telemetry._clients) == before - 1


def test_the_document_lists_every_instrument(reader: InMemoryMetricReader) -> None:
    """docs/telemetry.md names each instrument with its kind, unit and description, and no other."""
    rows = re.findall(
        r"^\| `(\S+)` \| (\w+) \| `(\S+)` \| (.+) \|$", DOCUMENT.read_text(encoding="utf-8"), re.MULTILINE
    )
    assert rows == [
        (name, "counter" if i.kind == telemetry.COUNTER else "gauge", i.unit, i.description)
        for name, i in telemetry.INSTRUMENTS.items()
    ]
    with ConsentClient(MemoryStore()):
        units = {name: unit for name, _, _, unit in points(reader)}
    assert all(units[name] == telemetry.INSTRUMENTS[name].unit for name in units)


PROGRAM = """
import logging, sys
{before}
from diijam_consent_sdk import ConsentClient
logging.basicConfig(level=logging.WARNING, format="%(message)s")
with ConsentClient.from_url("memory:") as consent:
    assert consent.can_market("u", "email").reason == "unknown_user"
    assert consent.status().ready
"""
BROKEN = """
from opentelemetry import metrics
class Broken(metrics.MeterProvider):
    def get_meter(self, *_, **__):
        raise RuntimeError("secret")
metrics.set_meter_provider(Broken())
"""


@pytest.mark.parametrize(
    ("before", "said"),
    [("sys.modules['opentelemetry'] = None", ""), (BROKEN, "telemetry.failed")],
    ids=["not installed", "broken"],
)
def test_no_client_fails_for_it(before: str, said: str) -> None:
    """Without OpenTelemetry nothing happens, and a broken one gives one log line; a client works in both cases."""
    program = [sys.executable, "-W", "error", "-c", PROGRAM.format(before=before)]
    done = subprocess.run(program, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count(said or "\n") == (1 if said else 0)
    assert "secret" not in done.stderr


def test_it_costs_nothing_where_it_is_not_installed() -> None:
    """The library imports no part of OpenTelemetry before a client is made."""
    program = "import sys, diijam_consent_sdk; sys.exit('opentelemetry' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


FORKED = """
import os
from diijam_consent_sdk import ConsentClient
from diijam_consent_sdk.client import telemetry
def hits():
    return [hits for hits, _ in telemetry._figures("hits", telemetry.INSTRUMENTS["diijam_consent.hits"])]
consent = ConsentClient.from_url("memory:", follow=False)
for _ in range(5):
    consent.user("u")
assert hits() == [4], hits()
pid = os.fork()
if pid == 0:
    os._exit(hits() != [0])
assert os.waitpid(pid, 0)[1] == 0
"""


def test_a_forked_child_counts_anew() -> None:
    """What the parent's counters reported is not in the child's."""
    done = subprocess.run([sys.executable, "-c", FORKED], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr

"""A small made-up audience, and a ledger of its customers, for the example programs to run on."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Iterator
from contextlib import closing
from itertools import groupby
from pathlib import Path

import pytest

from diijam_consent_sdk import ConsentClient
from diijam_consent_sdk.events import Event
from diijam_consent_sdk.identifiers import is_user_id
from diijam_consent_sdk.stores import MemoryStore, SqliteStore, Store
from diijam_consent_sdk.stores.wire import event_from
from examples.data import generate

COMMITTED = Path(generate.__file__).parent
FEW = 120
PATIENT_SECONDS = 60.0  # a deadline that a whole audience is loaded within, however busy the machine is


def batches(data: Path) -> Iterator[tuple[str, list[Event]]]:
    """Each customer of the folder *data* with all their events."""
    with (data / "customers.jsonl").open(encoding="utf-8") as file:
        lines = map(json.loads, file)
        for user_id, group in groupby(lines, key=lambda line: str(line["user_id"])):
            yield user_id, [event_from(line["event"]) for line in group]


def load(store: Store, data: Path) -> int:
    """Append each customer's events as one batch. Returns how many customers there are."""
    return sum(bool(store.append(user_id, events)) for user_id, events in batches(data))


def rows(data: Path) -> list[dict[str, str]]:
    """The rows of the audience in the folder *data*."""
    with (data / "audience.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def well_formed(listed: list[dict[str, str]]) -> list[str]:
    """The ids in these rows that are ids at all, each once."""
    return [user_id for user_id in dict.fromkeys(row["user_id"] for row in listed) if is_user_id(user_id)]


@pytest.fixture(scope="session")
def few(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the data of a few customers."""
    folder = tmp_path_factory.mktemp("few")
    generate.write(folder, seed=2026, customers=FEW)
    return folder


@pytest.fixture(scope="session")
def full() -> Iterator[MemoryStore]:
    """All committed customers, to be read only."""
    with closing(MemoryStore()) as store:
        load(store, COMMITTED)
        yield store


@pytest.fixture
def audience(few: Path) -> str:
    """The path of the small audience."""
    return str(few / "audience.csv")


@pytest.fixture(scope="session")
def loaded(few: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a ledger of those few customers."""
    folder = tmp_path_factory.mktemp("loaded")
    store = SqliteStore(folder / "consents.db")
    load(store, few)
    store.close()
    return folder


@pytest.fixture
def url(loaded: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A copy of that ledger, which the test may write to; also where the environment points."""
    path = shutil.copytree(loaded, tmp_path / "ledger") / "consents.db"
    monkeypatch.setenv("DIIJAM_CONSENT_URL", f"sqlite:///{path}")
    return f"sqlite:///{path}"


@pytest.fixture
def unreachable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever URL an example is given, the store behind it fails."""

    def from_url(*_: object, **__: object) -> ConsentClient:
        store = MemoryStore()
        store.close()
        return ConsentClient(store)

    monkeypatch.setattr(ConsentClient, "from_url", from_url)

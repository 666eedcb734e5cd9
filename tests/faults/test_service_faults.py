"""The service is killed, frozen, or restored from an older copy: no yes past the bound, and soon the right answers."""

from __future__ import annotations

import shutil
import signal
import sqlite3
import time
import uuid
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from diijam_consent_sdk import Reason
from diijam_consent_sdk import events as e
from diijam_consent_sdk.stores import SqliteStore
from tests.client.conftest import SIGNED_UP
from tests.faults.conftest import Service
from tests.faults.watching import B, check, client_of, comes_back, patient, signed_up, watching

WITHDRAWN = (e.Withdrawn("marketing"),)


def directly(service: Service, user_id: str, *events: e.Event) -> float:
    """Write to the ledger's file, past the service; when that was acknowledged."""
    store = SqliteStore(service.ledger, busy_seconds=10)
    store.append(user_id, events)
    acknowledged = time.monotonic()
    store.close()
    return acknowledged


def over_http(service: Service, user_id: str, *events: e.Event) -> float:
    """Write through the service; when that was acknowledged."""
    store = patient(service)
    store.append(user_id, events)
    acknowledged = time.monotonic()
    store.close()
    return acknowledged


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGSTOP], ids=["killed", "ended", "frozen"])
@pytest.mark.parametrize("before", [True, False], ids=["no before", "no meanwhile"])
def test_a_service_goes_away_and_comes_back(
    how: signal.Signals, before: bool, own_service: Service, user_id: str
) -> None:
    """A no acknowledged just before the service went away, or written past it, ends every yes, and is not lost."""
    with (
        signed_up(patient(own_service), user_id),
        client_of(own_service.url, own_service.token) as consent,
        watching(consent, user_id) as watch,
    ):
        acknowledged = over_http(own_service, user_id, *WITHDRAWN) if before else 0.0
        if how is signal.SIGSTOP:
            own_service.signal(how)
        else:
            own_service.end(how)
        acknowledged = acknowledged or directly(own_service, user_id, *WITHDRAWN)
        time.sleep(1.5 * B)
        if how is signal.SIGSTOP:
            own_service.signal(signal.SIGCONT)
        else:
            own_service.start()
        comes_back(watch, Reason.WITHDRAWN)
    check(watch, acknowledged)


def backed_up(path: Path, copy: Path) -> None:
    """A copy of a ledger in use, as SQLite makes it."""
    with closing(sqlite3.connect(path)) as db, closing(sqlite3.connect(copy)) as to:
        db.backup(to)


def older(path: Path, copy: Path) -> None:
    """The ledger as the copy has it, and nothing else."""
    for beside in path.parent.glob(f"{path.name}-*"):
        beside.unlink()
    shutil.copy2(copy, path.with_suffix(".new"))
    path.with_suffix(".new").replace(path)


def overtaken(path: Path, copy: Path) -> None:
    """The ledger as the copy has it, written on past every position that a client may know."""
    older(path, copy)
    store = SqliteStore(path)
    for _ in range(20):
        store.append(f"later-{uuid.uuid4()}", SIGNED_UP)
    store.close()


@pytest.mark.parametrize("restore", [older, overtaken])
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM], ids=["killed", "ended"])
def test_a_service_restored_from_an_older_copy(
    how: signal.Signals, restore: Callable[[Path, Path], None], own_service: Service, user_id: str
) -> None:
    """
    A yes of the time after the copy ends within the bound, also if the copy has overtaken the client's position
    before the client asks again.
    """
    copy = own_service.folder / f"{user_id}.copy"
    over_http(own_service, user_id, e.AccountOpened())
    backed_up(own_service.ledger, copy)
    over_http(own_service, user_id, SIGNED_UP[1])
    with client_of(own_service.url, own_service.token) as consent, watching(consent, user_id) as watch:
        own_service.end(how)
        restore(own_service.ledger, copy)
        restored = time.monotonic()
        own_service.start()
        comes_back(watch, Reason.NOT_CONSENTED)
        time.sleep(max(0.0, restored + 1.5 * B - time.monotonic()))
    check(watch, restored)
    assert watch.says(Reason.NOT_CONSENTED)


@pytest.mark.parametrize("restore", [older, overtaken])
def test_a_file_restored_under_its_client(restore: Callable[[Path, Path], None], tmp_path: Path, user_id: str) -> None:
    """The same without a service, where the epoch stays and only the chain hash tells the histories apart."""
    path, copy = tmp_path / "embedded.db", tmp_path / "copy.db"
    store = SqliteStore(path)
    store.append(user_id, [e.AccountOpened()])
    store.close()
    backed_up(path, copy)
    store = SqliteStore(path)
    store.append(user_id, [SIGNED_UP[1]])
    store.close()
    with client_of(f"sqlite:///{path}") as consent, watching(consent, user_id) as watch:
        restore(path, copy)
        restored = time.monotonic()
        comes_back(watch, Reason.NOT_CONSENTED)
        time.sleep(max(0.0, restored + 1.5 * B - time.monotonic()))
    check(watch, restored)
    assert watch.says(Reason.NOT_CONSENTED)

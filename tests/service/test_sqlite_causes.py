"""Why a ledger in a file cannot be read: said with the file's name here, and without it to the clients of a service."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from diijam_consent_sdk import ConsentClient
from diijam_consent_sdk.errors import StoreError
from diijam_consent_sdk.events import AccountOpened
from diijam_consent_sdk.stores import SqliteStore
from tests.service.conftest import NONCE, Ask, Start


def gone(path: Path) -> None:
    """The file is not there any more."""
    path.unlink()


def overwritten(path: Path) -> None:
    """Another program wrote over it."""
    path.write_bytes(b"no database, but a letter to a customer. " * 200)


HURTS = [(gone, "the database cannot be opened"), (overwritten, "database")]


@pytest.mark.parametrize(("hurt", "said"), HURTS)
def test_the_file_is_named_here_and_nowhere_else(
    tmp_path: Path, start: Start, ask_as: Ask, hurt: Callable[[Path], None], said: str
) -> None:
    """`status().last_error` has the cause and the file; a problem document of a service has the cause alone."""
    path = tmp_path / "ledger-of-the-shop.db"
    with closing(SqliteStore(path)) as first:
        first.append("u-1", [AccountOpened()])
    store = SqliteStore(path, busy_seconds=0.1)
    service = start(store)
    with ConsentClient(store, follow=False) as consent:
        assert consent.can_process("u-1", "payment")
        hurt(path)
        with pytest.raises(StoreError, match=said):
            consent.load("u-2")
        assert not consent.can_process("u-2", "payment")
        last_error = consent.status().last_error
        assert last_error is not None
        assert said in last_error
        assert str(path) in last_error
        answer: httpx.Response = ask_as(service).post("/v1/records/load", {"nonce": NONCE, "user_ids": ["u-2"]})
        assert said in answer.json()["detail"]
        assert path.name not in answer.text
    store.close()

"""A ledger in a file, closed and open."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from diijam_consent_sdk.stores import SqliteStore

from ..contract import AGREED, OPENED, TOLD
from .files import BUSY_SECONDS


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A ledger of one user, closed."""
    path = tmp_path / "ledger.db"
    with closing(SqliteStore(path)) as store:
        store.append("u-1", [OPENED, TOLD, AGREED], idempotency_key="k-1")
    return path


@pytest.fixture
def store(path: Path) -> Iterator[SqliteStore]:
    """A store on that ledger that does not wait long."""
    with closing(SqliteStore(path, busy_seconds=BUSY_SECONDS)) as store:
        yield store

"""A database for each test, and a way to interfere with its batches of statements."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import psycopg
import pytest

from diijam_consent_sdk.stores import PostgresStore
from diijam_consent_sdk.stores.postgres import schema
from diijam_consent_sdk.stores.postgres.connection import DeadlineConnection

from ..cluster import shared
from .support import Interfere, RunBatch


@pytest.fixture
def empty() -> Iterator[str]:
    """A database with nothing in it."""
    url = shared().database()
    yield url
    shared().give_back(url)


@pytest.fixture
def url(empty: str) -> str:
    """A database with an empty ledger."""
    schema.prepare(empty)
    return empty


@pytest.fixture
def db(url: str) -> Iterator[psycopg.Connection]:
    """An autocommitting connection of another program."""
    with psycopg.connect(url, autocommit=True) as db:
        db.execute(f"SET search_path = {schema.SCHEMA}")
        yield db


@pytest.fixture
def store(url: str) -> Iterator[PostgresStore]:
    """A store on the ledger."""
    with closing(PostgresStore(url, deadline=5)) as store:
        yield store


@pytest.fixture
def interfere(monkeypatch: pytest.MonkeyPatch) -> Interfere:
    """Run each batch of statements by a function of the test instead of the connection."""
    real = DeadlineConnection.run_batch

    def install(instead: RunBatch) -> None:
        monkeypatch.setattr(
            DeadlineConnection, "run_batch", lambda self, batch: instead(lambda: real(self, batch), batch)
        )

    return install

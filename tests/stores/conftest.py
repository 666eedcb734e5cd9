"""Each contract test runs on every kind of store."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from diijam_consent_sdk.stores import Store
from tests.stores.contract import HOMES, LASTING_HOMES, SERVED_HOMES, Home


@pytest.fixture(params=HOMES)
def home(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Home]:
    """An empty ledger."""
    home = HOMES[request.param](tmp_path)
    yield home
    home.close()


@pytest.fixture
def store(home: Home) -> Store:
    """A store on an empty ledger."""
    return home.open()


@pytest.fixture(params=SERVED_HOMES)
def served_home(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Home]:
    """An empty ledger, of one's own or behind a consent service."""
    home = SERVED_HOMES[request.param](tmp_path)
    yield home
    home.close()


@pytest.fixture(params=LASTING_HOMES)
def lasting_home(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Home]:
    """An empty ledger of the kind that outlives its stores."""
    home = LASTING_HOMES[request.param](tmp_path)
    yield home
    home.close()

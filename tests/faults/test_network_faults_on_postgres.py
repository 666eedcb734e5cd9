"""The faults of the network once more, with PostgreSQL behind the service: the promise is the same."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from diijam_consent_sdk.service.scopes import Scope
from diijam_consent_sdk.service.token_changes import new_token
from tests.faults.conftest import Service
from tests.faults.test_network_faults import *  # noqa: F403 - its tests and fixtures, on the service below
from tests.stores.cluster import shared


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service over PostgreSQL, shared by the module."""
    folder = tmp_path_factory.mktemp("service")
    token = new_token(folder / "tokens.json", "tests", [Scope.ASK, Scope.LIST, Scope.READ, Scope.WRITE])
    url = shared().ledger()
    service = Service(folder, token)
    try:
        service.start(url)
        yield service
    finally:
        service.end(signal.SIGKILL)
        shared().give_back(url)

"""A PostgreSQL database for the tests of commands."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.stores.cluster import shared


@pytest.fixture
def url() -> Iterator[str]:
    """A database with nothing in it."""
    url = shared().database()
    yield url
    shared().give_back(url)

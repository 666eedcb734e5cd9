"""A client that stands still, for services under test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from diijam_consent_sdk.testing import ConsentForTests


@pytest.fixture
def consent() -> Iterator[ConsentForTests]:
    """Knows u-1, who may be mailed."""
    with ConsentForTests() as client:
        client.opted_in("u-1", "email")
        yield client

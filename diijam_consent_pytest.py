"""
The pytest plugin of diijam-consent-sdk: the fixture `consent`.

pytest imports it in every run on a machine where the library is installed. So it stands beside the package and imports
nothing of it until a test asks: a run that needs no consent pays nothing, and coverage sees all of the package.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from diijam_consent_sdk.testing import ConsentForTests


@pytest.fixture
def consent() -> Iterator[ConsentForTests]:
    """A consent client over an empty ledger in memory, on clocks that go on only when told."""
    from diijam_consent_sdk.testing import ConsentForTests  # noqa: PLC0415 - see above

    with ConsentForTests() as client:
        yield client

"""
The pytest plugin of diijam-consent-sdk, with the fixture `consent`.

pytest imports it in every run on a machine where the library is installed. It lies beside the package and imports the
package only when a test uses the fixture, so that other runs pay nothing and coverage measures all of the package.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from diijam_consent_sdk.testing import ConsentForTests


@pytest.fixture
def consent() -> Iterator[ConsentForTests]:
    """Make a consent client over an empty ledger in memory, on clocks that the test moves."""
    from diijam_consent_sdk.testing import ConsentForTests  # noqa: PLC0415 - see above

    with ConsentForTests() as client:
        yield client

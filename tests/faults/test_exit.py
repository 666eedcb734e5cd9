"""Programs that end without closing their client."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from tests.faults import proxy as faults
from tests.faults.conftest import Service
from tests.faults.proxy import Proxy, only

PROMPTLY = 3.0  # far less than a poll of these clients waits

SYNC = """
    import time
    from diijam_consent_sdk import ConsentClient
    consent = ConsentClient.from_env(deadline=10)
    assert consent.can_market("nobody", "email").reason == "unknown_user"
    time.sleep(0.3)  # the feed waits for news
    print(time.monotonic())
"""
ASYNC = """
    import asyncio, time
    from diijam_consent_sdk import AsyncConsentClient
    async def main():
        consent = AsyncConsentClient.from_env(deadline=10)
        assert (await consent.user("nobody")).can_market("email").reason == "unknown_user"
        await asyncio.sleep(0.3)
        print(time.monotonic())
    asyncio.run(main())
"""


def ended(program: str, **environment: str) -> None:
    """Run it; it must end promptly, with status 0 and without complaint."""
    command = [sys.executable, "-c", textwrap.dedent(program)]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=60, check=False, env={**os.environ, **environment}
    )
    took = time.monotonic() - float(done.stdout or "nan")
    assert done.returncode == 0, done.stderr
    assert not done.stderr
    assert took < PROMPTLY


@pytest.mark.parametrize("program", [SYNC, ASYNC], ids=["sync", "async"])
def test_over_a_file(program: str, tmp_path: Path) -> None:
    """A poll that waits on a file keeps nothing from ending."""
    ended(program, DIIJAM_CONSENT_URL=f"sqlite:///{tmp_path}/c.db")


@pytest.mark.parametrize("program", [SYNC, ASYNC], ids=["sync", "async"])
@pytest.mark.parametrize("is_frozen", [False, True], ids=["feed up", "feed frozen"])
def test_over_http(program: str, is_frozen: bool, service: Service, proxy: Proxy) -> None:
    """Nor does one that waits for a service, whether it would ever answer or not."""
    if is_frozen:
        proxy.fault = only("/v1/changes", faults.black_hole)
    ended(program, DIIJAM_CONSENT_URL=proxy.url, DIIJAM_CONSENT_TOKEN=service.token)
    assert "/v1/changes" in proxy.requests

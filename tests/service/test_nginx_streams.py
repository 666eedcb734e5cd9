"""Clients behind nginx: a stream where it lets parts through, single polls where it holds them back."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from diijam_consent_sdk import ConsentClient, Reason
from diijam_consent_sdk import events as e
from diijam_consent_sdk.client import stream
from diijam_consent_sdk.stores import HttpStore, MemoryStore
from tests.client.conftest import SIGNED_UP, eventually, reason
from tests.service.conftest import Running, running
from tests.service.test_nginx import CONFIGURATION, NGINX, started

PASS = "proxy_pass http://consent;"
IGNORED = "proxy_ignore_headers X-Accel-Buffering;"
HELD_BACK = CONFIGURATION.replace(PASS, f"{IGNORED} proxy_buffering on; {PASS}")
LET_THROUGH = {
    "as on the page": CONFIGURATION,
    "buffering off": CONFIGURATION.replace(PASS, f"{IGNORED} proxy_buffering off; {PASS}"),
}
pytestmark = pytest.mark.skipif(not NGINX, reason="apt-get install nginx-light")


@pytest.fixture(scope="module")
def service(token_files: tuple[Path, dict[str, str]]) -> Iterator[Running]:
    """A service with a user who may be mailed."""
    store = MemoryStore()
    store.append("u", SIGNED_UP)
    one = running(store, token_files[0])
    yield one
    one.stop()


def sees_changes(consent: ConsentClient, direct: HttpStore) -> float:
    """See that a no and a yes of another process arrive; the longest took so many seconds."""
    longest = 0.0
    for event, becomes in ((e.Withdrawn("marketing"), Reason.WITHDRAWN), (SIGNED_UP[1], Reason.CONSENTED)):
        user = consent.user("u")
        direct.append("u", [event])
        began = time.monotonic()
        assert eventually(lambda user=user: reason(user) is Reason.STALE)  # type: ignore[misc]
        longest = max(longest, time.monotonic() - began)
        assert reason(consent.user("u")) is becomes
    return longest


@pytest.mark.parametrize("configuration", LET_THROUGH)
def test_a_stream_passes(
    configuration: str, service: Running, token_files: tuple[Path, dict[str, str]], tmp_path: Path
) -> None:
    """The page's nginx, whose buffering the service switches off by a header, and one that does not buffer."""
    token = token_files[1]["both"]
    direct = HttpStore(service.url, token=token, deadline=10)
    with started(tmp_path, service.url, LET_THROUGH[configuration]) as proxy:
        store = HttpStore(proxy.url, token=token, verify=proxy.ca, deadline=5)
        with ConsentClient(store) as consent:
            assert consent.can_market("u", "email")
            assert eventually(lambda: consent.status().is_streaming)
            assert sees_changes(consent, direct) < 2
            assert consent.status().is_streaming
        store.close()
    direct.close()


def test_where_parts_are_held_back_single_polls_go_on(
    service: Running, token_files: tuple[Path, dict[str, str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An nginx that buffers whatever the service says: changes are seen all the same, and the feed is up."""
    monkeypatch.setattr(stream, "FIRST_PAUSE_SECONDS", 10.0)
    token = token_files[1]["both"]
    direct = HttpStore(service.url, token=token, deadline=10)
    with started(tmp_path, service.url, HELD_BACK) as proxy:
        store = HttpStore(proxy.url, token=token, verify=proxy.ca, deadline=0.5)
        with ConsentClient(store, max_staleness=4, deadline=2) as consent:
            assert consent.can_market("u", "email")
            assert eventually(lambda: consent.status().feed == "up" and not consent.status().is_streaming)
            assert sees_changes(consent, direct) < 3
            assert consent.status().feed == "up"
        store.close()
    direct.close()

"""Small and patient versions of what `make reliability` measures."""

from __future__ import annotations

from pathlib import Path

from diijam_consent_sdk.stores import SqliteStore
from tests.client.conftest import SIGNED_UP
from tests.faults.conftest import Service
from tests.faults.shows import freshness, latencies
from tests.faults.watching import patient

SOON = 10.0  # of a bound of 60 s, on a machine that may be very busy


def test_a_no_over_http_is_soon_in_every_process(service: Service) -> None:
    """With the feed up, a withdrawal reaches other processes long before the bound."""
    store = patient(service)
    environment = {"DIIJAM_CONSENT_URL": service.url, "DIIJAM_CONSENT_TOKEN": service.token}
    took = latencies(store, 3, 3, **environment)
    store.close()
    assert len(took) == 9
    assert max(took) < SOON


def test_a_no_in_a_file_is_soon_in_every_process(tmp_path: Path) -> None:
    """So does one that another process wrote to the same SQLite file, with no service at all."""
    store = SqliteStore(tmp_path / "c.db", busy_seconds=10)
    took = latencies(store, 2, 3, DIIJAM_CONSENT_URL=f"sqlite:///{tmp_path}/c.db")
    store.close()
    assert len(took) == 6
    assert max(took) < SOON


def test_staying_fresh_costs_requests_by_time_and_not_by_user(service: Service, user_id: str) -> None:
    """One stream keeps cached users fresh past their own leases: no poll beside it, and not one load."""
    user_ids = [f"{user_id}-{number}" for number in range(200)]
    store = patient(service)
    for one in user_ids:
        store.append(one, SIGNED_UP)
    store.close()
    found = freshness(service, user_ids, max_staleness=4)
    assert found.fresh == len(user_ids)
    assert found.requests["/v1/records/load"] == 0
    assert found.requests["/v1/changes"] <= 1  # a stream is counted when it ends

"""Paths spelled so that a proxy's rule does not match them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.attacks.conftest import Served


def test_no_other_spelling_of_a_path_leads_there(served: Served, bystanders: Callable[[], Any]) -> None:
    """S6: another spelling of a path, which a proxy may let through, is answered with 404."""
    with bystanders():
        connection = served.connect()
        for path in (
            "/metrics/",
            "/metrics//",
            "//metrics",
            "/metrics%2f",
            "/%6detrics",
            "/Metrics",
            "/metrics%00",
            "/x/../metrics",
            "http://a/metrics",
            "/metrics#a",
        ):
            connection.putrequest("GET", path)
            connection.endheaders()
            answer = connection.getresponse()
            assert (path, answer.status) == (path, 404)
            assert b"diijam_consent_requests" not in answer.read()
        connection.close()

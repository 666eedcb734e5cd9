"""What lies behind a proxy's rule for a path."""

from __future__ import annotations

from tests.attacks.conftest import Served


def test_no_other_spelling_of_a_path_leads_there(served: Served) -> None:
    """S6: a path that a proxy lets through under another spelling does not exist here."""
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
    ):
        connection.putrequest("GET", path)
        connection.endheaders()
        answer = connection.getresponse()
        assert (path, answer.status) == (path, 404)
        assert b"diijam_consent_requests" not in answer.read()
    connection.close()

"""Access lines that are written several at a time."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

from structlog.testing import capture_logs

from diijam_consent_sdk.service.access_log import PIECE_BYTES, AccessLog, BufferedAccessLog

FIELDS: dict[str, object] = {
    "method": "POST", "path": "/v1/standings/load", "status": 200, "duration_ms": 0.2, "token": "cửa-hàng", "users": 1,
}  # fmt: skip


def test_a_line_is_written_by_the_next_flush() -> None:
    """A line has the request, its time in UTC, the event and the level, as the service's other lines have."""
    written: list[str] = []
    log = BufferedAccessLog(written.append)
    began = datetime.now(UTC)
    log.record(FIELDS)
    assert written == []
    log.flush()
    (text,) = written
    assert text.endswith("\n")
    line = json.loads(text)
    assert began <= datetime.fromisoformat(line.pop("at")) <= datetime.now(UTC) + timedelta(0)
    assert line == {**FIELDS, "event": "service.request", "level": "info"}
    log.flush()
    assert len(written) == 1


def test_a_crowd_of_lines_is_written_in_pieces_of_whole_lines() -> None:
    """No line is lost, doubled or cut, and no piece is so large that a pipe could mix it with another process's."""
    written: list[str] = []
    log = BufferedAccessLog(written.append)
    for number in range(1_000):
        log.record({**FIELDS, "users": number})
    log.flush()
    assert len(written) > 1
    assert all(piece.endswith("\n") and len(piece.encode()) <= PIECE_BYTES for piece in written)
    assert [json.loads(line)["users"] for line in "".join(written).splitlines()] == list(range(1_000))


def test_an_embedded_service_logs_each_line_at_once() -> None:
    """By default a line goes through structlog, as the application configured it."""
    with capture_logs() as lines:
        AccessLog().record(FIELDS)
    assert lines == [{**FIELDS, "event": "service.request", "log_level": "info"}]

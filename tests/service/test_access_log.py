"""Access lines that are written several at a time."""

from __future__ import annotations

import io
import json
import os
import sys
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from structlog.testing import capture_logs

from diijam_consent_sdk.service.access_log import AccessLine, AccessLog, BufferedAccessLog
from diijam_consent_sdk.service.line_writer import MAX_PIECES, PIECE_BYTES, LineWriter, StandardError

FIELDS: dict[str, Any] = {
    "method": "POST", "path": "/v1/standings/load", "status": 200, "duration_ms": 0.2, "token": "cửa-hàng", "users": 1,
}  # fmt: skip


class Reader(StandardError):
    """
    What reads the lines.

    Attributes:
        read: The pieces that it took.

        stands_still: Whether it takes none at present.
    """

    def __init__(self) -> None:
        self.read: list[str] = []
        self.stands_still = False

    def is_ready(self, seconds: float = 0.0) -> bool:
        """See `StandardError.is_ready`."""
        return not self.stands_still

    def write(self, piece: bytes) -> None:
        """See `StandardError.write`."""
        assert not self.stands_still
        self.read.append(piece.decode())


def test_a_line_is_written_by_the_next_flush() -> None:
    """A line has the request, its time in UTC, the event and the level, as the service's other lines have."""
    reader = Reader()
    written, log = reader.read, BufferedAccessLog(LineWriter(reader))
    began = datetime.now(UTC)
    log.record(AccessLine(**FIELDS))
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
    reader = Reader()
    written, log = reader.read, BufferedAccessLog(LineWriter(reader))
    for number in range(1_000):
        log.record(AccessLine(**FIELDS | {"users": number}))
    log.flush()
    assert len(written) > 1
    assert all(piece.endswith("\n") and len(piece.encode()) <= PIECE_BYTES for piece in written)
    assert [json.loads(line)["users"] for line in "".join(written).splitlines()] == list(range(1_000))


def test_an_embedded_service_logs_each_line_at_once() -> None:
    """By default a line goes through structlog, as the application configured it."""
    with capture_logs() as lines:
        AccessLog().record(AccessLine(**FIELDS))
    assert lines == [{**FIELDS, "event": "service.request", "log_level": "info"}]


def test_nothing_waits_for_a_reader_that_stands_still() -> None:
    """What it does not take is kept in order, up to a bound; then a line tells how many were dropped."""
    reader = Reader()
    log = BufferedAccessLog(LineWriter(reader))
    reader.stands_still = True
    for number in range(10_000):
        log.record(AccessLine(**FIELDS | {"users": number}))
        log.flush()
    assert reader.read == []
    reader.stands_still = False
    log.flush()
    *kept, told = map(json.loads, "".join(reader.read).splitlines())
    assert MAX_PIECES <= len(reader.read) <= MAX_PIECES + 2
    assert [line["users"] for line in kept] == list(range(len(kept)))
    assert (told["event"], told["lines"]) == ("service.lines_dropped", 10_000 - len(kept))
    log.record(AccessLine(**FIELDS))
    log.flush()
    assert json.loads(reader.read[-1])["users"] == 1


def test_a_forked_process_leaves_its_parents_lines_alone() -> None:
    """What was kept before is forgotten, with the number of those that were dropped; later lines are written."""
    reader = Reader()
    reader.stands_still = True
    lines = LineWriter(reader)
    for _ in range(2):
        lines.write("x" * PIECE_BYTES * (MAX_PIECES + 1) + "\n")
    lines.write("dropped\n")
    lines.discard()
    reader.stands_still = False
    lines.write("mine\n")
    lines.close()
    assert reader.read == ["mine\n"]


def test_a_line_longer_than_a_piece_is_written_whole() -> None:
    """Such as a traceback: it comes in order, in pieces that a pipe takes at once."""
    reader = Reader()
    lines = LineWriter(reader)
    text = f"one\n{'x' * 3 * PIECE_BYTES}\ntwo\n"
    lines.write(text)
    lines.close()
    assert "".join(reader.read) == text
    assert max(map(len, reader.read)) <= PIECE_BYTES


def test_a_full_pipe_holds_up_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """The rest is written once its reader goes on, and nothing is raised once it is gone."""
    out, into = os.pipe()
    with os.fdopen(into, "w") as stream, os.fdopen(out) as reader:
        monkeypatch.setattr(sys, "stderr", stream)
        lines = LineWriter()
        for number in range(50_000):
            lines.write(f"{number}\n")
        for number in range(50_000):
            if number % 500 == 0:
                lines.flush()
            assert int(reader.readline()) == number
        reader.close()
        lines.write("more\n")
        lines.close()
        monkeypatch.undo()


def fill(target: StandardError) -> None:
    """Write for ever."""
    while True:
        target.write(b"x" * PIECE_BYTES)


def test_no_write_waits_for_a_pipe_that_another_process_filled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the look and the write another process may fill the pipe, and its own flags stay as they are."""
    out, into = os.pipe()
    with os.fdopen(into, "w") as stream, os.fdopen(out):
        monkeypatch.setattr(sys, "stderr", stream)
        target = StandardError()
        with pytest.raises(BlockingIOError):
            fill(target)
        assert os.get_blocking(into)
        monkeypatch.undo()


def test_a_standard_error_that_was_closed_stops_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is written then is lost, and nothing is raised."""
    stream = io.StringIO()
    stream.close()
    monkeypatch.setattr(sys, "stderr", stream)
    StandardError().write(b"x")

"""
The lines of `diijam-consent serve` on standard error, which are written while somebody reads them.

A write to a pipe whose reader stands still waits for ever, and with the event loop every customer's no would wait too.
"""

from __future__ import annotations

import os
import select
import stat
import sys
import threading
from collections import deque
from contextlib import suppress
from datetime import UTC, datetime

import msgspec

# A pipe that is ready takes so much at once, and in one piece. Windows has no such number, and runs no service.
PIECE_BYTES: int = getattr(select, "PIPE_BUF", 512)
MAX_PIECES = 256  # that are kept while nobody reads; later ones are dropped
END_SECONDS = 1.0  # that the end waits for a slow reader


class StandardError:
    """Standard error as it is now, which a test or a program may replace. It raises nothing but `BlockingIOError`."""

    def __init__(self) -> None:
        self._pipe: tuple[tuple[int, int, int], int] | None = None  # which one, and this process's own descriptor

    def is_ready(self, seconds: float = 0.0) -> bool:
        """Whether `PIECE_BYTES` can be written without waiting for a reader, after at most so long."""
        if (descriptor := self._descriptor()) is None:
            return True
        poll = select.poll()
        poll.register(descriptor, select.POLLOUT)
        return bool(poll.poll(seconds * 1000))

    def write(self, piece: bytes) -> None:
        """Write at most `PIECE_BYTES`. The service goes on without a reader or a terminal."""
        descriptor = self._descriptor()
        try:
            if descriptor is not None:
                os.write(self._without_waiting(descriptor), piece)
            elif sys.stderr is not None:
                sys.stderr.write(piece.decode(errors="replace"))
        except BlockingIOError:
            raise
        except (OSError, ValueError):  # closed
            pass

    def _without_waiting(self, descriptor: int) -> int:
        """
        Open a pipe again for this process alone: other processes may fill it between the look and the write, which
        would then wait. Their own flags stay as they are.
        """
        found = os.fstat(descriptor)
        if not stat.S_ISFIFO(found.st_mode):
            return descriptor
        which = (found.st_dev, found.st_ino, os.getpid())
        if self._pipe is None or self._pipe[0] != which:
            before, self._pipe = self._pipe, None
            if before is not None and before[0][2] == os.getpid():  # a forked process may have closed all, for others
                with suppress(OSError):
                    os.close(before[1])
            try:
                self._pipe = (which, os.open(f"/dev/fd/{descriptor}", os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC))
            except OSError:
                return descriptor
        return self._pipe[1]

    @staticmethod
    def _descriptor() -> int | None:
        with suppress(OSError, ValueError, AttributeError):  # closed, or no file
            return sys.stderr.fileno()
        return None


class LineWriter:
    """
    Keeps lines for a moment, and writes several at a time. None waits for a reader: while nobody reads, 1 MiB is kept,
    and then a line tells how many were dropped. A stream for `logging`; safe to use from several threads.

    Args:
        target: Where the lines go.
    """

    def __init__(self, target: StandardError | None = None) -> None:
        self._target = target or StandardError()
        self._lock = threading.RLock()
        self._pieces: deque[bytes] = deque()
        self._last = bytearray()  # the piece that is not full
        self._dropped = 0

    def write(self, lines: str) -> None:
        """Keep lines until the next flush."""
        self.add(lines.encode(errors="replace"))

    def add(self, lines: bytes) -> None:
        """Keep lines until the next flush, or until they fill a piece."""
        with self._lock:
            self._keep(lines)

    def _keep(self, lines: bytes) -> None:
        if len(self._last) + len(lines) > PIECE_BYTES:
            self._write_kept(0.0)
        if len(self._pieces) >= MAX_PIECES:
            self._dropped += lines.count(b"\n")
            return
        if len(self._last) + len(lines) > PIECE_BYTES:
            self._end_piece()
        self._last += lines
        while len(self._last) > PIECE_BYTES:  # one long line, in several pieces
            self._pieces.append(bytes(self._last[:PIECE_BYTES]))
            del self._last[:PIECE_BYTES]

    def flush(self, seconds: float = 0.0) -> None:
        """Write what can be written without waiting for a reader; with *seconds*, after at most so long for a piece."""
        with self._lock:
            self._write_kept(seconds)

    def _write_kept(self, seconds: float) -> None:
        while (self._pieces or self._last) and self._target.is_ready(seconds):
            if not self._pieces:
                self._end_piece()
            try:
                self._target.write(self._pieces[0])
            except BlockingIOError:  # another process was quicker
                return
            self._pieces.popleft()
            if self._dropped and not (self._pieces or self._last):
                self._last += self._report_dropped()

    def discard(self) -> None:
        """Forget the lines that are kept: in a forked process they are its parent's to write."""
        with self._lock:
            self._pieces.clear()
            self._last.clear()
            self._dropped = 0

    def close(self) -> None:
        """Write what is left, unless nobody reads it."""
        self.flush(END_SECONDS)

    def _end_piece(self) -> None:
        if self._last:
            self._pieces.append(bytes(self._last))
            self._last.clear()

    def _report_dropped(self) -> bytes:
        dropped, self._dropped = self._dropped, 0
        line = {"lines": dropped, "event": "service.lines_dropped", "level": "warning", "at": datetime.now(UTC)}
        return msgspec.json.encode(line) + b"\n"

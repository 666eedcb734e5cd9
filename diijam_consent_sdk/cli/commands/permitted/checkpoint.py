"""
What an interrupted run over a list leaves for the next: beside `ok.csv` the file `ok.csv.resume`, with no id in it.

It is one line of JSON, what was asked of which ledger, then four bytes for each customer in the list's order: the
decision's number, and three bytes of a checksum over all ids so far, which tells whether the list is still the same.
Only what a customer may not be touched for is taken over: whoever was permitted then is asked again, since a yes ages.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import BinaryIO

import attrs
import msgspec

from ...._files import lock, open_regular
from ....decisions import DECISIONS, Decision
from ....policy import WORDING
from ...console import tell
from ...output import STANDARD_OUTPUT, place_of

SUFFIX = ".resume"
MAX_AGE = timedelta(days=1)  # so long a no is taken over
RECORD_BYTES = 4
MAX_HEADER_BYTES = 2**20
KEYS = {"began_at", "question", "format"}
_BY_NUMBER = [DECISIONS[key] for key in WORDING]
_NUMBERS = {decision: number for number, decision in enumerate(_BY_NUMBER, start=1)}  # 0: bytes that never got written


class NotResumable(ValueError):
    """There is no interrupted run that can be gone on with."""


@attrs.frozen(kw_only=True)
class Run:
    """What a run does: one that does something else cannot go on with it."""

    question: str
    epoch: str
    words: tuple[tuple[str, int], ...] = tuple((str(reason), clause) for reason, clause in WORDING)
    format: int = 1


class Notes:
    """
    The decisions of a run, in the order of its list.

    Attributes:
        left: How many decisions of the interrupted run have not been recalled yet.

        total: How many decisions there are.
    """

    def __init__(self, stream: BinaryIO | None = None, left: int = 0) -> None:
        self._stream = stream
        self._sum = 0
        self._row = 0
        self.left = self.total = left

    def recall(self, user_id: str) -> Decision | None:
        """
        The no of the interrupted run to its next customer, who is *user_id*; None: ask.

        Raises:
            NotResumable: it was another customer.
        """
        assert self._stream is not None
        record = self._stream.read(RECORD_BYTES)
        self._row += 1
        self.left -= 1
        if record[1:] != self._checksum(user_id) or record[0] > len(_BY_NUMBER):
            raise NotResumable(
                f"customer {self._row:,} of the list is another than in the interrupted run: run without --resume"
            )
        decision = _BY_NUMBER[record[0] - 1]
        return None if decision.allowed else decision

    def keep(self, user_id: str, decision: Decision) -> None:
        """Note the decision on the next customer, once nothing is left to be recalled."""
        if self._stream is not None:
            self._stream.write(bytes((_NUMBERS[decision],)) + self._checksum(user_id))
            self.total += 1

    def _checksum(self, user_id: str) -> bytes:
        self._sum = zlib.crc32(user_id.encode() + b"\n", self._sum)
        return self._sum.to_bytes(RECORD_BYTES)[1:]


@contextmanager
def noting(output: str, run_of: Callable[[], Run], *, resume: bool) -> Iterator[Notes]:
    """
    The notes beside *output*. They stay if the block raises before the output got its name.

    Args:
        output: Where the results go; standard output has no notes.

        run_of: Gives what is done.

        resume: Whether to go on with the notes of an interrupted run.

    Raises:
        NotResumable: there is nothing to go on with, or only of another run, or of one too long ago.

        ValueError: another process writes to *output* now, what lies beside it is somebody's else, or it is standard
            output and *resume* is set.

        OSError: the notes cannot be read or written.
    """
    if output == STANDARD_OUTPUT:
        if resume:
            raise ValueError("--resume goes with --output FILE: what went to standard output cannot be gone on with")
        try:
            yield Notes()
        except KeyboardInterrupt as error:
            error.add_note("run the same command again; with --output FILE one that is stopped can go on where it was")
            raise
        return
    path = place_of(output)
    file = path.with_name(path.name + SUFFIX)
    before, run = _identity(path), run_of()
    with _locked(file, output, resume=resume) as stream:
        notes = Notes(stream, _read(stream, run)) if resume else _begun(stream, run)
        try:
            yield notes
        except BaseException as error:
            if not notes.total or _identity(path) != before:
                file.unlink()
            elif not isinstance(error, NotResumable):
                error.add_note(f"checked so far: {notes.total:,}; add --resume to the same command to go on")
            raise
        file.unlink()


@contextmanager
def _locked(file: Path, output: str, *, resume: bool) -> Iterator[BinaryIO]:
    """The notes, which no other process is writing."""
    try:
        descriptor = open_regular(file, os.O_RDWR | (0 if resume else os.O_CREAT))
    except OSError as error:
        if resume and isinstance(error, FileNotFoundError):
            why = f"there is no interrupted run to go on with ({output}{SUFFIX}): run without --resume"
            raise NotResumable(why) from None
        error.filename = f"{output}{SUFFIX}" if os.path.lexists(file) else output
        error.add_note(f"nothing was written to {output}")
        raise
    with os.fdopen(descriptor, "r+b") as stream:
        try:
            is_locked = lock(descriptor)
        except BlockingIOError:
            raise ValueError(f"another process is writing to {output}: wait for it, or stop it") from None
        if not is_locked:
            tell(f"note: this file system has no locks: see that no other process writes to {output} meanwhile")
        _check_ours(stream, output, resume=resume)
        yield stream


def _check_ours(stream: BinaryIO, output: str, *, resume: bool) -> None:
    """
    See that the file is one of ours before anything of it is changed: somebody may have put another under its name.

    Raises:
        ValueError: it is not, and stays as it is.
    """
    found = os.fstat(stream.fileno())
    is_own = found.st_nlink == 1 and (not hasattr(os, "geteuid") or found.st_uid == os.geteuid())
    if not (is_own and (resume or _is_empty_or_notes(stream))):  # with --resume it is read, and refused, as a whole
        raise ValueError(
            f"{output}{SUFFIX} is not what an interrupted run leaves: move it away, or choose another --output;"
            f" nothing was written to {output}"
        )


def _is_empty_or_notes(stream: BinaryIO) -> bool:
    header = stream.readline(MAX_HEADER_BYTES)
    stream.seek(0)
    try:
        return not header or set(msgspec.json.decode(header)) >= KEYS
    except (ValueError, TypeError):
        return False


def _begun(stream: BinaryIO, run: Run) -> Notes:
    stream.truncate()
    header = {"began_at": datetime.now(UTC), **attrs.asdict(run)}
    stream.write(msgspec.json.encode(header) + b"\n")
    stream.flush()
    return Notes(stream)


def _read(stream: BinaryIO, run: Run) -> int:
    """How many decisions can be recalled; the stream is left before the first."""
    try:
        header = msgspec.json.decode(stream.readline(MAX_HEADER_BYTES))
        age = datetime.now(UTC) - datetime.fromisoformat(header.pop("began_at"))
        then = msgspec.convert(header, Run)
    except (ValueError, TypeError, KeyError, AttributeError):
        raise NotResumable("the notes of the interrupted run are damaged: run without --resume") from None
    if then != run:
        raise NotResumable("the interrupted run asked something else, or another ledger: run without --resume")
    if age > MAX_AGE:
        raise NotResumable("the interrupted run is too long ago: run without --resume")
    start = stream.tell()
    whole = 0
    while (record := stream.read(RECORD_BYTES)) and len(record) == RECORD_BYTES and record[0]:
        whole += 1
    stream.truncate(start + whole * RECORD_BYTES)  # what a crash left half written
    stream.seek(start)
    return whole


def _identity(path: Path) -> int | None:
    try:
        return path.stat().st_ino
    except FileNotFoundError:
        return None

"""
Save the decisions of a run over a list, so that an interrupted run can be resumed.

Beside `ok.csv` lies `ok.csv.resume`, with no id in it. Its first line is JSON that names the ask and the ledger. Four
bytes follow for each customer, in the order of the list. They are the number of the decision, and three bytes of a
checksum over all ids so far, which shows whether the list is still the same. Only denials are taken over. Customers who
were permitted are asked again, since they may have said no meanwhile.
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

from ...._file_owners import HAS_OWNERS
from ...._files import lock, open_regular
from ....decisions import DECISIONS, Decision
from ....policy import WORDING
from ...console import print_status
from ...output import STANDARD_OUTPUT, resolve_output

SUFFIX = ".resume"
MAX_AGE = timedelta(days=1)  # of a denial that is taken over
RECORD_BYTES = 4
MAX_HEADER_BYTES = 2**20
KEYS = {"began_at", "question", "format"}
_BY_NUMBER = [DECISIONS[key] for key in WORDING]
# From 1, since a crash may leave bytes of 0.
_NUMBERS = {decision: number for number, decision in enumerate(_BY_NUMBER, start=1)}


class NotResumable(ValueError):
    """There is no interrupted run that can be resumed."""


@attrs.frozen(kw_only=True)
class Run:
    """What a run asks of which ledger. Another run cannot resume it."""

    question: str
    epoch: str
    words: tuple[tuple[str, int], ...] = tuple((str(reason), clause) for reason, clause in WORDING)
    format: int = 1


class Checkpoint:
    """
    The decisions of a run, in the order of its list.

    Attributes:
        remaining: How many decisions of the interrupted run have not been restored yet.

        total: How many decisions there are.
    """

    def __init__(self, stream: BinaryIO | None = None, remaining: int = 0) -> None:
        self._stream = stream
        self._sum = 0
        self._row = 0
        self.remaining = self.total = remaining

    def restore(self, user_id: str) -> Decision | None:
        """
        Return the interrupted run's denial of its next customer, *user_id*; None if the customer has to be asked.

        Raises:
            NotResumable: the next customer was another one.
        """
        assert self._stream is not None
        record = self._stream.read(RECORD_BYTES)
        self._row += 1
        self.remaining -= 1
        if record[1:] != self._checksum(user_id) or record[0] > len(_BY_NUMBER):
            raise NotResumable(
                f"customer {self._row:,} of the list is another than in the interrupted run: run without --resume"
            )
        decision = _BY_NUMBER[record[0] - 1]
        return None if decision.allowed else decision

    def save(self, user_id: str, decision: Decision) -> None:
        """Save the decision on the next customer, once all of the interrupted run's are restored."""
        if self._stream is not None:
            self._stream.write(bytes((_NUMBERS[decision],)) + self._checksum(user_id))
            self.total += 1

    def _checksum(self, user_id: str) -> bytes:
        self._sum = zlib.crc32(user_id.encode() + b"\n", self._sum)
        return self._sum.to_bytes(RECORD_BYTES)[1:]


@contextmanager
def open_checkpoint(output: str, describe_run: Callable[[], Run], *, resume: bool) -> Iterator[Checkpoint]:
    """
    Open the checkpoint beside *output*. The file stays if the block raises before the output is complete.

    Args:
        output: Where the results go; standard output has no checkpoint.

        describe_run: Returns what is asked of which ledger.

        resume: Whether to go on with an interrupted run.

    Raises:
        NotResumable: there is no interrupted run, or it was another run, or it is too long ago.

        ValueError: another process is writing to *output*, the file beside it is not a checkpoint of this user, or
            *output* is standard output and *resume* is set.

        OSError: the checkpoint cannot be read or written.
    """
    if output == STANDARD_OUTPUT:
        with _no_checkpoint(resume=resume) as checkpoint:
            yield checkpoint
        return
    path = resolve_output(output)
    file = path.with_name(path.name + SUFFIX)
    before, run = _inode(path), describe_run()
    with _open_locked(file, output, resume=resume) as stream:
        checkpoint = Checkpoint(stream, _read(stream, run)) if resume else _begin(stream, run)
        try:
            yield checkpoint
        except BaseException as error:
            if not checkpoint.total or _inode(path) != before:
                file.unlink()
            elif not isinstance(error, NotResumable):
                error.add_note(f"checked so far: {checkpoint.total:,}; add --resume to the same command to go on")
            raise
        file.unlink()


@contextmanager
def _no_checkpoint(*, resume: bool) -> Iterator[Checkpoint]:
    """Give a checkpoint that saves nothing, for standard output."""
    if resume:
        raise ValueError("--resume goes with --output FILE: what went to standard output cannot be gone on with")
    try:
        yield Checkpoint()
    except KeyboardInterrupt as error:
        error.add_note("run the same command again; with --output FILE one that is stopped can go on where it was")
        raise


@contextmanager
def _open_locked(file: Path, output: str, *, resume: bool) -> Iterator[BinaryIO]:
    """Open the checkpoint's file, locked against other processes."""
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
            print_status(f"note: this file system has no locks: see that no other process writes to {output} meanwhile")
        _check_ours(stream, output, resume=resume)
        yield stream


def _check_ours(stream: BinaryIO, output: str, *, resume: bool) -> None:
    """
    Check that the file is a checkpoint of this user before it is changed, since anybody may have put one there.

    Raises:
        ValueError: the file is something else. It stays as it is.
    """
    found = os.fstat(stream.fileno())
    is_own = found.st_nlink == 1 and (not HAS_OWNERS or found.st_uid == os.geteuid())
    if not (is_own and (resume or _is_empty_or_checkpoint(stream))):  # with --resume, `_read` checks all of it
        raise ValueError(
            f"{output}{SUFFIX} is not what an interrupted run leaves: move it away, or choose another --output;"
            f" nothing was written to {output}"
        )


def _is_empty_or_checkpoint(stream: BinaryIO) -> bool:
    header = stream.readline(MAX_HEADER_BYTES)
    stream.seek(0)
    try:
        return not header or set(msgspec.json.decode(header)) >= KEYS
    except (ValueError, TypeError):
        return False


def _begin(stream: BinaryIO, run: Run) -> Checkpoint:
    stream.truncate()
    header = {"began_at": datetime.now(UTC), **attrs.asdict(run)}
    stream.write(msgspec.json.encode(header) + b"\n")
    stream.flush()
    return Checkpoint(stream)


def _read(stream: BinaryIO, run: Run) -> int:
    """Return how many decisions can be restored, and leave the stream at the first."""
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
    complete = 0
    while (record := stream.read(RECORD_BYTES)) and len(record) == RECORD_BYTES and record[0]:
        complete += 1
    stream.truncate(start + complete * RECORD_BYTES)  # cuts off what a crash left half written
    stream.seek(start)
    return complete


def _inode(path: Path) -> int | None:
    try:
        return path.stat().st_ino
    except FileNotFoundError:
        return None

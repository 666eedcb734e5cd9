"""How far a watch came, in a file that its owner alone can read: within a snapshot it names a customer."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import attrs
import msgspec

from ...._file_owners import open_checked
from ...._files import lock, open_regular, replace_file
from ....client.watch_token import WatchToken
from ....decisions import Ask
from ....stores import wire
from ...console import print_status

MAX_BYTES = 2**16
LOCK_SUFFIX = ".lock"


class _Kept(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    ask: str
    token: str


@attrs.define
class WatchCheckpoint:
    """
    The place of one watch.

    Attributes:
        token: Where it goes on; None for everybody first.

        lock: The descriptor that keeps other watches away from the file, for the programs that are run; None without
            a file.
    """

    token: str | None
    _ask: str
    _path: Path | None
    lock: int | None = None

    def save(self, token: str) -> None:
        """
        Keep a token. A reader finds the old one or the new one, whole.

        Raises:
            OSError: it cannot be written.
        """
        self.token = token
        if self._path is not None:
            with replace_file(self._path) as stream:
                stream.write(msgspec.json.encode(_Kept(self._ask, token)))

    def note(self) -> str:
        """Tell where an interrupted watch goes on."""
        if self._path is None:
            return "there is no --checkpoint, so the next run begins with everybody"
        return f"the same command goes on from {self._path}" if self.token else "the next run begins with everybody"


@contextmanager
def open_watch_checkpoint(file: str | None, ask: Ask) -> Iterator[WatchCheckpoint]:
    """
    Open the checkpoint in *file*, if there is one, for one watch at a time: the slower of two would hand on a yes after
    the other one handed on the no that followed, with a checkpoint that is past both.

    Raises:
        ValueError: the file is something else, or of another ask. It stays as it is. Or another watch uses it.

        OSError: the file cannot be read, or another user can have written it; or its folder cannot be written.
    """
    question = wire.encode({"ask": type(ask).__name__, **attrs.asdict(ask, recurse=False)}).decode()
    if file is None:
        yield WatchCheckpoint(None, question, None)
        return
    path = Path(file)
    if path.is_dir():
        raise ValueError(f"--checkpoint {file!r} is a folder: name a file in it")
    if not os.path.lexists(path) and not os.access(path.absolute().parent, os.W_OK):
        raise PermissionError(f"{path} cannot be written: name a file in a folder that can")
    with _locked(path) as descriptor:
        yield WatchCheckpoint(_read_token(path, question), question, path, descriptor)


@contextmanager
def _locked(path: Path) -> Iterator[int]:
    """Lock a file beside the checkpoint, which is itself replaced. It stays, or two could lock two files."""
    descriptor = open_regular(path.with_name(path.name + LOCK_SUFFIX), os.O_RDWR | os.O_CREAT)
    try:
        try:
            is_locked = lock(descriptor)
        except BlockingIOError:
            raise ValueError(
                f"another watch uses {path}, or a program that it ran does: wait until it ends, or stop it"
            ) from None
        if not is_locked:
            print_status(f"note: this file system has no locks: see that no other watch uses {path} meanwhile")
        yield descriptor
    finally:
        os.close(descriptor)


def _read_token(path: Path, question: str) -> str | None:
    if not os.path.lexists(path):
        return None
    with open_checked(path) as stream:  # a planted one would leave customers out
        data = stream.read(MAX_BYTES)
    try:
        kept = msgspec.json.decode(data, type=_Kept)
        WatchToken.parse(kept.token)
    except (msgspec.DecodeError, ValueError):
        raise ValueError(f"{path} is no checkpoint of a watch: name another file, or move it away") from None
    if kept.ask != question:
        raise ValueError(f"{path} is the checkpoint of another ask: give each ask a file of its own")
    return kept.token

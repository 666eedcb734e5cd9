"""How far a watch came, in a file that its owner alone can read: within a snapshot it names a customer."""

from __future__ import annotations

import os
from pathlib import Path

import attrs
import msgspec

from ...._files import open_regular, replace_file
from ....client.watch_token import WatchToken
from ....decisions import Ask
from ....stores import wire

MAX_BYTES = 2**16


class _Kept(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    ask: str
    token: str


@attrs.define
class WatchCheckpoint:
    """
    The place of one watch.

    Attributes:
        token: Where it goes on; None for everybody first.
    """

    token: str | None
    _ask: str
    _path: Path | None

    @classmethod
    def open(cls, file: str | None, ask: Ask) -> WatchCheckpoint:
        """
        Read the checkpoint in *file*, if there is one.

        Raises:
            ValueError: the file is something else, or of another ask. It stays as it is.

            OSError: the file cannot be read, or its folder not be written.
        """
        question = wire.encode({"ask": type(ask).__name__, **attrs.asdict(ask, recurse=False)}).decode()
        if file is None:
            return cls(None, question, None)
        path = Path(file)
        if not os.path.lexists(path):
            if not os.access(path.absolute().parent, os.W_OK):
                raise PermissionError(f"{path} cannot be written: name a file in a folder that can")
            return cls(None, question, path)
        with os.fdopen(open_regular(path, os.O_RDONLY), "rb") as stream:
            data = stream.read(MAX_BYTES)
        try:
            kept = msgspec.json.decode(data, type=_Kept)
            WatchToken.parse(kept.token)
        except (msgspec.DecodeError, ValueError):
            raise ValueError(f"{path} is no checkpoint of a watch: name another file, or move it away") from None
        if kept.ask != question:
            raise ValueError(f"{path} is the checkpoint of another ask: give each ask a file of its own")
        return cls(kept.token, question, path)

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

"""The file of bearer tokens: JSON of their names, SHA-256 hashes and scopes, so that who reads it learns no token."""

from __future__ import annotations

import hashlib
import hmac
import os
import time
from collections import Counter
from collections.abc import Callable, Collection
from datetime import datetime
from os import PathLike
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from .._file_owners import check_file, check_path
from .._files import open_regular
from .._logging import log
from ..identifiers import identifier
from ..stores import wire
from .scopes import Scope

RELOAD_SECONDS = 0.5  # after so long the file is read again
MAX_FILE_BYTES = 2**20  # some thousand tokens
MAX_NAME_CHARACTERS = 64  # so that a relay can put its own name before another
MAX_OF_A_NAME = 2  # tokens: the old one and the new one, while it is rotated
HELP = "make one with: diijam-consent token new --tokens FILE --name NAME --scope SCOPE"


class TokenEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One token in the file. The token itself is kept nowhere. While it is rotated, its name has two entries."""

    id: Annotated[str, Meta(min_length=1, max_length=64)]
    name: str
    sha256: Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]
    scopes: frozenset[Scope]
    created_at: Annotated[datetime, Meta(tz=True)]
    expires_at: Annotated[datetime, Meta(tz=True)] | None

    def has_expired(self, now: datetime) -> bool:
        """Whether the token has reached its end."""
        return self.expires_at is not None and self.expires_at <= now


wire.prepared(tuple[TokenEntry, ...])


class TokensUnreadable(Exception):
    """The file changed and cannot be read. Nobody is let in until it is put right; the text names the cause."""


class TokenFile:
    """
    The tokens in a file, which is read again as it changes. Use it from one thread only.

    Like ssh, it refuses a file that another user could have written. The file, each folder and each link on the way
    must belong to root or to this process's user, and be writable by no one else. If the file becomes unreadable or
    holds something else, every token is refused until it is right again, since a revocation with a slip in it must not
    leave the revoked token valid.

    Args:
        path: The file.

        clock: A monotonic clock, in seconds.

    Raises:
        OSError: the file cannot be read, or another user could have written it.

        ValueError: the file holds something else than tokens.
    """

    def __init__(self, path: str | PathLike[str], *, clock: Callable[[], float] = time.monotonic) -> None:
        self._path = Path(path).absolute()
        self._clock = clock
        self._read_at = clock()
        self._data: bytes | None = read_bytes(self._path)[0]
        self._entries = parse(self._path, self._data)
        self._known = frozenset(self._entries)
        self._trouble = ""

    def check(self) -> None:
        """
        Check that the tokens can be read.

        Raises:
            TokensUnreadable: the file changed and cannot be read.
        """
        self._reload()

    def find(self, token: str) -> TokenEntry | None:
        """
        Look up a token.

        Args:
            token: The token, as the client sent it.

        Returns:
            The token's entry, also if it has expired; None if it is unknown.

        Raises:
            TokensUnreadable: the file changed and cannot be read.
        """
        self._reload()
        digest = hashlib.sha256(token.encode(errors="surrogateescape")).hexdigest()
        found = None
        for entry in self._entries:  # all of them, so that the time taken is the same for each
            if hmac.compare_digest(entry.sha256, digest):
                found = entry
        return found

    def holds(self, entry: TokenEntry) -> bool:
        """
        Whether the file still has this very entry.

        Raises:
            TokensUnreadable: the file changed and cannot be read.
        """
        self._reload()
        return entry in self._known

    def _reload(self) -> None:
        """Read the file again if that was long ago; raise if it is unreadable."""
        now = self._clock()
        if now - self._read_at >= RELOAD_SECONDS:
            self._read_at = now
            try:
                # The whole file each time, since size and times can be the same after a change.
                data = read_bytes(self._path)[0]
                if data != self._data:
                    self._data, self._entries = None, ()
                    self._entries = parse(self._path, data)
                    self._known = frozenset(self._entries)
                    self._data = data
                    log.info("service.tokens_read", tokens=len(self._entries))
                self._trouble = ""
            except (OSError, ValueError) as error:
                if not self._trouble:
                    log.error("service.tokens_unreadable", error=type(error).__name__, cause=str(error))
                self._trouble = str(error)
        if self._trouble:
            raise TokensUnreadable(self._trouble)


def read_bytes(path: Path, owners: Collection[int] = ()) -> tuple[bytes, os.stat_result]:
    """
    Read a tokens file, and its status.

    Raises:
        OSError: it cannot be read, or another user than root, *owners* and this one could have written it.

        ValueError: it is too large.
    """
    check_path(path, owners)
    with os.fdopen(open_regular(path.resolve(), os.O_RDONLY), "rb") as file:
        found = os.fstat(file.fileno())
        check_file(path, found, owners)
        data = file.read(MAX_FILE_BYTES + 1)
    if len(data) > MAX_FILE_BYTES:
        raise ValueError(f"{path} is no tokens file (larger than {MAX_FILE_BYTES} bytes): name another, or {HELP}")
    return data, found


def parse(path: Path, data: bytes) -> tuple[TokenEntry, ...]:
    """
    Parse the content of a tokens file.

    Raises:
        ValueError: it holds something else than tokens.
    """
    try:
        entries = wire.read(data, tuple[TokenEntry, ...])
        for name, count in Counter(entry.name for entry in entries).items():
            checked_name(name)
            if count > MAX_OF_A_NAME:
                raise wire.Malformed("more than two entries have one name")
    except ValueError as error:
        raise ValueError(f"{path} is no tokens file ({error}): correct it, or {HELP}") from None
    return entries


def checked_name(name: str) -> str:
    """
    Check the name of a token, which its entries in the ledger and the access log carry.

    Raises:
        ValueError: it is no id, has more than 64 characters, or holds a slash, which stands between a relay and its
            client.
    """
    if "/" in identifier(name) or len(name) > MAX_NAME_CHARACTERS:
        raise ValueError(f"a token's name is an id of at most {MAX_NAME_CHARACTERS} characters without a slash")
    return name

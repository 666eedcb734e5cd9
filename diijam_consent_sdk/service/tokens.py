"""The file of bearer tokens: JSON of their SHA-256 hashes and scopes, so that who reads it learns no token."""

from __future__ import annotations

import errno
import hashlib
import hmac
import os
import secrets
import stat
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from enum import StrEnum
from os import PathLike
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from .._file_owners import check_file, check_path, is_root
from .._files import PRIVATE, lock, open_regular, replace_file, sync_folder
from .._logging import log
from ..stores import wire

RELOAD_SECONDS = 0.5  # after so long the file is read again
LOCK_SECONDS = 5.0  # that a command waits for another one
MAX_FILE_BYTES = 2**20  # some thousand tokens
PREFIX = "dcs_"  # by which scanners for leaked secrets find one
HELP = "make one with: diijam-consent token new --tokens FILE --scope read"


class Scope(StrEnum):
    """What a token allows its client to do."""

    READ = "read"  # load, changes, history
    WRITE = "write"  # append


class TokenEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One token in the file. The token itself is kept nowhere."""

    id: Annotated[str, Meta(min_length=1, max_length=64)]
    sha256: Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]
    scopes: frozenset[Scope]
    created_at: datetime


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
        self._data: bytes | None = _read(self._path)[0]
        self._entries = _parse(self._path, self._data)
        self._trouble = ""

    def check(self) -> None:
        """
        Check that the tokens can be read.

        Raises:
            TokensUnreadable: the file changed and cannot be read.
        """
        self._reload()

    def scopes_of(self, token: str) -> frozenset[Scope] | None:
        """
        Look up what a token allows.

        Args:
            token: The token, as the client sent it.

        Returns:
            The token's scopes; None if it is unknown.

        Raises:
            TokensUnreadable: the file changed and cannot be read.
        """
        self._reload()
        digest = hashlib.sha256(token.encode(errors="surrogateescape")).hexdigest()
        found = None
        for entry in self._entries:  # all of them, so that the time taken is the same for each
            if hmac.compare_digest(entry.sha256, digest):
                found = entry.scopes
        return found

    def _reload(self) -> None:
        """Read the file again if that was long ago; raise if it is unreadable."""
        now = self._clock()
        if now - self._read_at >= RELOAD_SECONDS:
            self._read_at = now
            try:
                # The whole file each time, since size and times can be the same after a change.
                data = _read(self._path)[0]
                if data != self._data:
                    self._data, self._entries = None, ()
                    self._entries = _parse(self._path, data)
                    self._data = data
                    log.info("service.tokens_read", tokens=len(self._entries))
                self._trouble = ""
            except (OSError, ValueError) as error:
                if not self._trouble:
                    log.error("service.tokens_unreadable", error=type(error).__name__, cause=str(error))
                self._trouble = str(error)
        if self._trouble:
            raise TokensUnreadable(self._trouble)


def new_token(path: str | PathLike[str], scopes: Iterable[Scope]) -> tuple[str, str]:
    """
    Make a token and add its hash to the file. A missing file is made, with mode 0600.

    The file is replaced as a whole and keeps its owner and mode.

    Args:
        path: The tokens file.

        scopes: The scopes of the token.

    Returns:
        The id of the token's entry, and the token, which is kept nowhere else.

    Raises:
        OSError: the file cannot be read or written, another user could have written it, or another program keeps the
            folder locked.

        ValueError: the file holds something else than tokens, or there are no scopes.
    """
    granted = frozenset(map(Scope, scopes))
    if not granted:
        raise ValueError(f"a token without a scope allows nothing: give --scope {' or --scope '.join(Scope)}")
    place = Path(path).absolute()
    token = PREFIX + secrets.token_urlsafe(32)
    digest = hashlib.sha256(token.encode()).hexdigest()
    entry = TokenEntry(id=secrets.token_hex(4), sha256=digest, scopes=granted, created_at=datetime.now(UTC))
    target = place.resolve()  # so that a link stays a link
    with _locked(target.parent):
        entries, owner, mode = _read_for_update(place, target)
        with replace_file(target, owner=owner, mode=mode) as file:
            file.write(msgspec.json.format(msgspec.json.encode([*entries, entry], order="sorted"), indent=2) + b"\n")
        sync_folder(target.parent)
    return entry.id, token


def _read_for_update(place: Path, target: Path) -> tuple[tuple[TokenEntry, ...], tuple[int, int] | None, int]:
    """
    Read the entries of the file, and the owner and mode that it keeps.

    Root may add a token to the file of a service's user, and that user has to read it afterwards. A new file gets the
    owner of its folder.
    """
    is_new = not target.exists()
    looked_at = (target.parent if is_new else target).stat()
    owners = (looked_at.st_uid,) if is_root() else ()
    owner = (looked_at.st_uid, looked_at.st_gid) if is_root() or not is_new else None
    if is_new:
        if place.is_symlink():
            raise FileNotFoundError(errno.ENOENT, "this link leads nowhere: remove it", str(place))
        check_path(place.parent, owners)
        return (), owner, PRIVATE
    data, found = _read(place, owners)
    return _parse(target, data), owner, stat.S_IMODE(found.st_mode)


def _read(path: Path, owners: Collection[int] = ()) -> tuple[bytes, os.stat_result]:
    """Read the file, and its status. Only root, *owners* and this user can have written it."""
    check_path(path, owners)
    with os.fdopen(open_regular(path.resolve(), os.O_RDONLY), "rb") as file:
        found = os.fstat(file.fileno())
        check_file(path, found, owners)
        data = file.read(MAX_FILE_BYTES + 1)
    if len(data) > MAX_FILE_BYTES:
        raise ValueError(f"{path} is no tokens file (larger than {MAX_FILE_BYTES} bytes): name another, or {HELP}")
    return data, found


def _parse(path: Path, data: bytes) -> tuple[TokenEntry, ...]:
    try:
        return wire.read(data, tuple[TokenEntry, ...])
    except wire.Malformed as error:
        raise ValueError(f"{path} is no tokens file ({error}): correct it, or {HELP}") from None


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Lock the folder, so that two commands at once do not lose each other's token. Some file systems have no locks."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        try:
            lock(descriptor, LOCK_SECONDS)
        except BlockingIOError:
            why = f"another program has held a lock on this folder for {LOCK_SECONDS:.0f} s: end it, or try again"
            raise BlockingIOError(errno.EWOULDBLOCK, why, str(folder)) from None
        yield
    finally:
        os.close(descriptor)

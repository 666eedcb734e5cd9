"""The bearer tokens that may ask: a JSON file of their SHA-256 hashes and scopes."""

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

LOOK_EVERY_SECONDS = 0.5  # how old the knowledge of the file may be
LOCK_SECONDS = 5.0  # to wait for another `token new`
MAX_FILE_BYTES = 2**20  # some thousand tokens
PREFIX = "dcs_"  # lets scanners for leaked secrets know one
HELP = "make one with: diijam-consent token new --tokens FILE --scope read"


class Scope(StrEnum):
    """What a token allows."""

    READ = "read"  # load, changes, history
    WRITE = "write"  # append


class Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What is kept of one token; the token itself is kept nowhere."""

    id: Annotated[str, Meta(min_length=1, max_length=64)]
    sha256: Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]
    scopes: frozenset[Scope]
    created_at: datetime


class TokensUnreadable(Exception):
    """The file changed to what cannot be read: until it is put right nobody may ask. The text says why."""


class TokenFile:
    """
    The tokens in a file, read again while it is asked. Safe to use from one thread.

    Like ssh, it takes no file that somebody else could have written: the file, each folder and each link on the way
    must belong to root or to this process's user, and be writable by no one else. If the file changes to something
    else or to something unreadable, every token is refused until it is right again: a revocation with a slip in it must
    not leave the revoked token alive.

    Args:
        path: The file.

        clock: A monotonic clock, in seconds.

    Raises:
        OSError: it cannot be read, or somebody else could have written it.

        ValueError: it is no tokens file.
    """

    def __init__(self, path: str | PathLike[str], *, clock: Callable[[], float] = time.monotonic) -> None:
        self._path = Path(path).absolute()
        self._clock = clock
        self._looked_at = clock()
        self._data: bytes | None = _read(self._path)[0]
        self._entries = _decoded(self._path, self._data)
        self._why_not = ""

    def check(self) -> None:
        """
        See whether anybody can be let in.

        Raises:
            TokensUnreadable: the file cannot be read any more.
        """
        self._refresh()

    def scopes_of(self, token: str) -> frozenset[Scope] | None:
        """
        What *token* allows; None if it is not known.

        Args:
            token: As the client sent it.

        Returns:
            Its scopes.

        Raises:
            TokensUnreadable: the file cannot be read any more.
        """
        self._refresh()
        digest = hashlib.sha256(token.encode(errors="surrogateescape")).hexdigest()
        found = None
        for entry in self._entries:  # all of them: the time taken tells nothing of which one it was
            if hmac.compare_digest(entry.sha256, digest):
                found = entry.scopes
        return found

    def _refresh(self) -> None:
        now = self._clock()
        if now - self._looked_at >= LOOK_EVERY_SECONDS:
            self._looked_at = now
            try:
                # All of it each time: size and times can be the same after a change.
                data = _read(self._path)[0]
                if data != self._data:
                    self._data, self._entries = None, ()
                    self._entries = _decoded(self._path, data)
                    self._data = data
                    log.info("service.tokens_read", tokens=len(self._entries))
                self._why_not = ""
            except (OSError, ValueError) as error:
                if not self._why_not:
                    log.error("service.tokens_unreadable", error=type(error).__name__, cause=str(error))
                self._why_not = str(error)
        if self._why_not:
            raise TokensUnreadable(self._why_not)


def new_token(path: str | PathLike[str], scopes: Iterable[Scope]) -> tuple[str, str]:
    """
    Make a token and keep its hash in the file, beside those that are there. A missing file is made, with mode 0600.

    The file is replaced as a whole and keeps its owner and mode.

    Args:
        path: The tokens file.

        scopes: What the token allows.

    Returns:
        The id of its entry, and the token, which is kept nowhere else.

    Raises:
        OSError: the file cannot be read or written, somebody else could have written it, or another program keeps the
            folder locked.

        ValueError: it is no tokens file, or there are no scopes.
    """
    granted = frozenset(map(Scope, scopes))
    if not granted:
        raise ValueError(f"a token without a scope allows nothing: give --scope {' or --scope '.join(Scope)}")
    place = Path(path).absolute()
    token = PREFIX + secrets.token_urlsafe(32)
    digest = hashlib.sha256(token.encode()).hexdigest()
    entry = Entry(id=secrets.token_hex(4), sha256=digest, scopes=granted, created_at=datetime.now(UTC))
    target = place.resolve()  # a link stays one
    with _locked(target.parent):
        entries, owner, mode = _found(place, target)
        with replace_file(target, owner=owner, mode=mode) as file:
            file.write(msgspec.json.format(msgspec.json.encode([*entries, entry], order="sorted"), indent=2) + b"\n")
        sync_folder(target.parent)
    return entry.id, token


def _found(place: Path, target: Path) -> tuple[tuple[Entry, ...], tuple[int, int] | None, int]:
    """
    What is in the file, and the owner and mode that it keeps: root adds a token to the file of a service's user, who
    has to read it afterwards. A new one is for whom its folder belongs to.
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
    return _decoded(target, data), owner, stat.S_IMODE(found.st_mode)


def _read(path: Path, owners: Collection[int] = ()) -> tuple[bytes, os.stat_result]:
    """The bytes of the file, and what it is. Nobody but root, *owners* and this user can have written them."""
    check_path(path, owners)
    with os.fdopen(open_regular(path.resolve(), os.O_RDONLY), "rb") as file:
        found = os.fstat(file.fileno())
        check_file(path, found, owners)
        data = file.read(MAX_FILE_BYTES + 1)
    if len(data) > MAX_FILE_BYTES:
        raise ValueError(f"{path} is no tokens file (larger than {MAX_FILE_BYTES} bytes): name another, or {HELP}")
    return data, found


def _decoded(path: Path, data: bytes) -> tuple[Entry, ...]:
    try:
        return wire.read(data, tuple[Entry, ...])
    except wire.Malformed as error:
        raise ValueError(f"{path} is no tokens file ({error}): correct it, or {HELP}") from None


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Two commands at once must not lose each other's token. Where there are no locks, that is up to their user."""
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

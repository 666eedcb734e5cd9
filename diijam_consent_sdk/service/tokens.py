"""The bearer tokens that may ask: a JSON file of their SHA-256 hashes and scopes."""

from __future__ import annotations

import fcntl
import hashlib
import hmac
import os
import secrets
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from enum import StrEnum
from os import PathLike
from pathlib import Path
from tempfile import mkstemp
from typing import Annotated

import msgspec
from msgspec import Meta

from .._logging import log

LOOK_EVERY_SECONDS = 0.5  # how old the knowledge of the file may be
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
    """The file changed to what cannot be read: until it is put right nobody may ask."""


class TokenFile:
    """
    The tokens in a file, read again when it changes. Safe to use from one thread.

    If it changes to something unreadable, every token is refused until it is right again: a revocation with a slip in
    it must not leave the revoked token alive.

    Args:
        path: The file.

        clock: A monotonic clock, in seconds.

    Raises:
        OSError: it cannot be read.

        ValueError: it is no tokens file.
    """

    def __init__(self, path: str | PathLike[str], *, clock: Callable[[], float] = time.monotonic) -> None:
        self._path = Path(path)
        self._clock = clock
        self._looked_at = clock()
        self._version, self._entries = _read(self._path)
        self._is_readable = True

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
                if not self._is_readable or _version(self._path.stat()) != self._version:
                    self._version, self._entries = _read(self._path)
                    log.info("service.tokens_read", tokens=len(self._entries))
                self._is_readable = True
            except (OSError, ValueError) as error:
                if self._is_readable:
                    log.error("service.tokens_unreadable", error=type(error).__name__)
                self._is_readable = False
        if not self._is_readable:
            raise TokensUnreadable


def new_token(path: str | PathLike[str], scopes: Iterable[Scope]) -> tuple[str, str]:
    """
    Make a token and keep its hash in the file, beside those that are there. A missing file is made, with mode 0600.

    Args:
        path: The tokens file.

        scopes: What the token allows.

    Returns:
        The id of its entry, and the token, which is kept nowhere else.

    Raises:
        OSError: the file cannot be read or written.

        ValueError: it is no tokens file, or there are no scopes.
    """
    granted = frozenset(map(Scope, scopes))
    if not granted:
        raise ValueError(f"a token without a scope allows nothing: give --scope {' or --scope '.join(Scope)}")
    target = Path(path).resolve()  # a link stays one
    token = PREFIX + secrets.token_urlsafe(32)
    digest = hashlib.sha256(token.encode()).hexdigest()
    with _locked(target.parent):
        entries = _read(target)[1] if target.exists() else ()
        entry = Entry(id=secrets.token_hex(4), sha256=digest, scopes=granted, created_at=datetime.now(UTC))
        _write(target, [*entries, entry])
    return entry.id, token


def _version(found: os.stat_result) -> tuple[int, int, int, int]:
    return found.st_dev, found.st_ino, found.st_mtime_ns, found.st_size


def _read(path: Path) -> tuple[tuple[int, int, int, int], tuple[Entry, ...]]:
    with path.open("rb") as file:
        version = _version(os.fstat(file.fileno()))  # of what is read, whatever takes its place meanwhile
        data = file.read()
    try:
        entries = msgspec.json.decode(data, type=tuple[Entry, ...])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"{path} is no tokens file ({error}): correct it, or {HELP}") from None
    return version, entries


def _write(target: Path, entries: list[Entry]) -> None:
    """Replace the file as a whole: a reader finds the old one or the new one. Made for its owner alone (0600)."""
    descriptor, name = mkstemp(dir=target.parent, prefix=f".{target.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(msgspec.json.format(msgspec.json.encode(entries, order="sorted"), indent=2) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(target)
    except BaseException:
        with suppress(OSError):
            Path(name).unlink()
        raise


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Two commands at once must not lose each other's token."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)

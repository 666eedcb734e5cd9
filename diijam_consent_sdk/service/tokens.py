"""The file of bearer tokens: JSON of their names, SHA-256 hashes and scopes, so that who reads it learns no token."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import os
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from os import PathLike
from pathlib import Path
from typing import Annotated, Self

import attrs
import msgspec
from msgspec import Meta

from .._file_owners import check_path, open_checked
from .._logging import log
from ..identifiers import identifier
from ..stores import wire
from .lanes import Lane
from .scopes import Scope

RELOAD_SECONDS = 0.5  # after so long the file is read again
MAX_AGE_SECONDS = 5.0  # of what was read, while a read takes long: a revoked token is let in no longer
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

    def has_expired(self) -> bool:
        """Whether the token has reached its end."""
        return self.expires_at is not None and self.expires_at <= datetime.now(UTC)


wire.prepared(tuple[TokenEntry, ...])


class TokensUnreadable(Exception):
    """The file changed and cannot be read. Nobody is let in until it is put right; the text names the cause."""


@attrs.frozen
class Content:
    """What a tokens file holds: its bytes, and the tokens in order and by their ids."""

    data: bytes = attrs.field(repr=False)
    entries: tuple[TokenEntry, ...]
    by_id: Mapping[str, TokenEntry] = attrs.field(repr=False)

    @classmethod
    def of(cls, path: Path, data: bytes) -> Self:
        """Parse the bytes; `ValueError` if they hold something else than tokens."""
        entries = parse(path, data)
        return cls(data, entries, {entry.id: entry for entry in entries})


class TokenFile:
    """
    The tokens in a file, which is read again as it changes. Use it in one thread only.

    Like ssh, it refuses a file that another user could have written. The file, each folder and each link on the way
    must belong to root or to this process's user, and be writable by no one else. If the file becomes unreadable or
    holds something else, every token is refused until it is right again, since a revocation with a slip in it must not
    leave the revoked token valid.

    It reads the file when it is used, unless it is kept fresh by `reading`, as in a service: then no use waits for the
    disk, and every token is refused once a read has taken `MAX_AGE_SECONDS`.

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
        self._content = Content.of(self._path, read_bytes(self._path)[0])
        self._trouble = ""
        self._is_kept_fresh = False

    def check(self) -> None:
        """Check that the tokens can be read; `TokensUnreadable` if not."""
        self._check_fresh()

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
        self._check_fresh()
        digest = hashlib.sha256(token.encode(errors="surrogateescape")).hexdigest()
        found = None
        for entry in self._content.entries:  # all of them, so that the time taken is the same for each
            if hmac.compare_digest(entry.sha256, digest):
                found = entry
        return found

    def holds(self, entry: TokenEntry) -> bool:
        """Whether the file still has this very entry; `TokensUnreadable` if it cannot be read."""
        self._check_fresh()
        found = self._content.by_id.get(entry.id)
        return found is entry or found == entry  # each question asks, so most are found by identity

    @asynccontextmanager
    async def reading(self, _: object = None) -> AsyncIterator[None]:
        """Keep the tokens fresh within the block, on its event loop, by a thread that waits for the disk."""
        self.read_again()  # starting may have taken long, and nobody waits yet
        lane = Lane("tokens", 1, 1)
        reads = asyncio.create_task(self._read_for_ever(lane))
        self._is_kept_fresh = True
        try:
            yield
        finally:
            self._is_kept_fresh = False
            reads.cancel()
            lane.close()

    async def _read_for_ever(self, lane: Lane) -> None:
        while True:
            await asyncio.sleep(RELOAD_SECONDS)
            began = self._clock()
            try:
                found = await lane.run(None, self._read)
            except Exception as error:  # noqa: BLE001 - whatever it is, nobody is let in before a read succeeds
                found = error
            self._take(began, found)

    def read_again(self) -> None:
        """Read the file now, however short ago it was read, and wait for it."""
        self._take(self._clock(), self._read())

    def _read(self) -> Content | Exception:
        """Read the whole file, since size and times can be the same after a change. Safe to call in any thread."""
        known = self._content
        try:
            data = read_bytes(self._path)[0]
            return known if data == known.data else Content.of(self._path, data)
        except (OSError, ValueError) as error:
            return error

    def _take(self, began: float, found: Content | Exception) -> None:
        """Use the result of a read that *began* then, unless a later one has ended."""
        if began < self._read_at:
            return
        self._read_at = began
        if isinstance(found, Exception):
            self._refuse(found)
            return
        if found is not self._content:
            log.info("service.tokens_read", tokens=len(found.entries))
        self._content, self._trouble = found, ""

    def _refuse(self, error: Exception) -> None:
        """Refuse every token from now on, and log why once."""
        if not self._trouble:
            log.error("service.tokens_unreadable", error=type(error).__name__, cause=str(error))
        self._trouble = str(error)

    def _check_fresh(self) -> None:
        """Raise `TokensUnreadable` if the file is unreadable or was read long ago; read it if nothing else does."""
        age = self._clock() - self._read_at
        if age >= RELOAD_SECONDS and not self._is_kept_fresh:
            self.read_again()
        elif age >= MAX_AGE_SECONDS:
            self._refuse(TimeoutError(f"reading {self._path} takes long: see whether its disk answers"))
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
    with open_checked(path.resolve(), owners, named=path) as file:
        found, data = os.fstat(file.fileno()), file.read(MAX_FILE_BYTES + 1)
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

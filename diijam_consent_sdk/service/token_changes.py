"""Changes of the tokens file, each under a lock and as a whole, so that two commands at once lose nothing."""

from __future__ import annotations

import errno
import hashlib
import os
import secrets
import stat
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from os import PathLike
from pathlib import Path

import msgspec

from .._file_owners import check_path, is_root
from .._files import PRIVATE, lock, replace_file, sync_folder
from .scopes import Scope
from .tokens import MAX_OF_A_NAME, TokenEntry, checked_name, parse, read_bytes

LOCK_SECONDS = 5.0  # that a command waits for another one
PREFIX = "dcs_"  # by which scanners for leaked secrets find one

Entries = tuple[TokenEntry, ...]


def new_token(
    path: str | PathLike[str], name: str, scopes: Iterable[Scope], *, expires_at: datetime | None = None
) -> str:
    """
    Make a token and add its hash to the file. A missing file is made, with mode 0600.

    The file is replaced as a whole and keeps its owner and mode.

    Args:
        path: The tokens file.

        name: The name of the writer that has the token; the ledger's entries carry it.

        scopes: The scopes of the token.

        expires_at: From when on the token is refused; None: it has no end.

    Returns:
        The token, which is kept nowhere else.

    Raises:
        OSError: the file cannot be read or written, another user could have written it, or another program keeps the
            folder locked.

        ValueError: the file holds something else than tokens, there are no scopes, the end is past, or the name is
            malformed or has a token already.
    """
    granted = frozenset(map(Scope, scopes))
    if not granted:
        raise ValueError(f"a token without a scope allows nothing: give --scope, one or more of {', '.join(Scope)}")
    checked_name(name)
    now = datetime.now(UTC)
    if expires_at is not None and expires_at <= now:
        raise ValueError("this end is past: give a later one, or none")
    entry, token = _make(name, granted, now, expires_at)

    def add(entries: Entries) -> Entries:
        if any(other.name == name for other in entries):
            raise ValueError(
                f"{name} has a token already: rotate it to replace it; for other scopes revoke it, then make one with"
                " all of them; another service needs another name"
            )
        return (*entries, entry)

    _change(Path(path), add)
    return token


def rotate_token(path: str | PathLike[str], name: str, keep: timedelta) -> tuple[str, datetime]:
    """
    Make a second token under a name, with the scopes and the end of the first, which ends sooner.

    Args:
        path: The tokens file.

        name: The name.

        keep: How long the first token goes on.

    Returns:
        The new token, which is kept nowhere else, and when the first one ends.

    Raises:
        OSError: as `new_token` raises it.

        ValueError: the file holds something else than tokens, or the name has no token, or one that has expired, or two
            that have not.
    """
    _check_exists(path)
    now = datetime.now(UTC)
    made: list[tuple[str, datetime]] = []

    def add(entries: Entries) -> Entries:
        valid = [entry for entry in _of(name, entries) if not entry.has_expired()]
        if not valid:
            raise ValueError(f"the token of {name} has expired: revoke it, then make a new one")
        if len(valid) == MAX_OF_A_NAME:
            ends = min((entry.expires_at for entry in valid if entry.expires_at), default=None)
            wait = "" if ends is None else f"wait until its old token ends, at {ends}, or "
            raise ValueError(f"{name} is being rotated already: {wait}revoke it")
        (old,) = valid
        entry, token = _make(name, old.scopes, now, old.expires_at)
        ends_at = now + keep if old.expires_at is None else min(now + keep, old.expires_at)
        made.append((token, ends_at))
        others = tuple(other for other in entries if other.name != name)
        return (*others, msgspec.structs.replace(old, expires_at=ends_at), entry)

    _change(Path(path), add)
    return made[0]


def revoke_token(path: str | PathLike[str], name: str) -> None:
    """
    Remove the tokens of a name.

    Raises:
        OSError: as `new_token` raises it.

        ValueError: the file holds something else than tokens, or the name has none.
    """
    _check_exists(path)

    def remove(entries: Entries) -> Entries:
        _of(name, entries)
        return tuple(entry for entry in entries if entry.name != name)

    _change(Path(path), remove)


def list_tokens(path: str | PathLike[str]) -> Entries:
    """
    Read the entries of the file, in its order.

    Raises:
        OSError: the file cannot be read, or another user could have written it.

        ValueError: it holds something else than tokens.
    """
    place = Path(path).absolute()
    target = place.resolve()
    return parse(place, read_bytes(place, _owners(target))[0])


def _check_exists(path: str | PathLike[str]) -> None:
    """Raise `OSError` if the file is missing: a mistyped path must not read as a file without the token."""
    Path(path).stat()


def _of(name: str, entries: Entries) -> list[TokenEntry]:
    """Find the entries of a name."""
    found = [entry for entry in entries if entry.name == name]
    if not found:
        known = ", ".join(sorted({entry.name for entry in entries})) or "none"
        raise ValueError(f"no token has this name; names in the file: {known}")
    return found


def _make(name: str, scopes: frozenset[Scope], now: datetime, expires_at: datetime | None) -> tuple[TokenEntry, str]:
    """Make a secret, and the entry for it."""
    token = PREFIX + secrets.token_urlsafe(32)
    digest = hashlib.sha256(token.encode()).hexdigest()
    entry = TokenEntry(
        id=secrets.token_hex(4), name=name, sha256=digest, scopes=scopes, created_at=now, expires_at=expires_at
    )
    return entry, token


def _change(path: Path, change: Callable[[Entries], Entries]) -> None:
    """Replace the entries of the file by what *change* makes of them."""
    place = path.absolute()
    target = place.resolve()  # so that a link stays a link
    with _locked(target.parent):
        entries, owner, mode = _read_for_update(place, target)
        content = msgspec.json.format(msgspec.json.encode(change(entries), order="sorted"), indent=2)
        with replace_file(target, owner=owner, mode=mode) as file:
            file.write(content + b"\n")
        try:
            sync_folder(target.parent)
        except OSError as error:
            error.add_note(
                "the file is changed all the same, but a power cut may undo that: see diijam-consent token list"
            )
            raise


def _owners(target: Path) -> tuple[int, ...]:
    """Who may own the file beside root and this user: root changes the files of other users, as their owner would."""
    return (target.stat().st_uid,) if is_root() else ()


def _read_for_update(place: Path, target: Path) -> tuple[Entries, tuple[int, int] | None, int]:
    """
    Read the entries of the file, and the owner and mode that it keeps.

    Root may add a token to the file of a service's user, and that user has to read it afterwards. A new file gets the
    owner of its folder.
    """
    is_new = not target.exists()
    looked_at = (target.parent if is_new else target).stat()
    owners = _owners(target.parent if is_new else target)
    owner = (looked_at.st_uid, looked_at.st_gid) if is_root() or not is_new else None
    if is_new:
        if place.is_symlink():
            raise FileNotFoundError(errno.ENOENT, "this link leads nowhere: remove it", str(place))
        check_path(place.parent, owners)
        return (), owner, PRIVATE
    data, found = read_bytes(place, owners)
    return parse(target, data), owner, stat.S_IMODE(found.st_mode)


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

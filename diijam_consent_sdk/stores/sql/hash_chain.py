"""
The ledger's hash chain: each entry's hash covers the one before, so that a customer's agreement can be proved.

An entry's digest covers its content and a random salt; its hash covers the previous hash, its position and that digest.
Erasing an entry deletes content and salt: the digest that stays can neither be guessed back nor replaced.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from functools import lru_cache

import attrs
import msgspec

from ...errors import HeadNotContinued, InvalidEvent, LedgerBroken
from ...events import Erased, Event, LedgerEntry, Provenance
from ...holders import HolderRegistry
from ...notices import NAMING, NoticeRegistry
from ...record import ConsentRecord, fold, refusal
from ...vocabulary import instant
from .. import wire
from ..answers import Cursor

GENESIS = bytes(32)  # the hash before the first entry
SALT_BYTES = 16
Content = tuple[str, int, str, bytes, bytes, str | None]  # of a link: user, version, at, event, provenance, notice


class Link(msgspec.Struct, frozen=True, gc=False):  # attrs takes 10 times as long to make one
    """One entry as a store keeps it. An erased one keeps only position, digest and hash; the rest is None."""

    position: int
    user_id: str | None
    version: int | None
    at: str | None
    event: bytes | None
    provenance: bytes | None
    notice_digest: str | None  # None too if the event names no registered notice
    salt: bytes | None
    digest: bytes
    hash: bytes

    def __repr__(self) -> str:
        return f"Link(position={self.position})"

    def entry(self) -> LedgerEntry:
        """Decode the entry; `wire.Malformed` if the link does not hold one."""
        if self.user_id is None or self.version is None or self.at is None or self.event is None:
            raise wire.Malformed("the entry was erased")
        if not (isinstance(self.user_id, str) and isinstance(self.version, int)):
            raise wire.Malformed("its user or version is missing or malformed")
        if not isinstance(self.notice_digest, str | None):
            raise wire.Malformed("its notice's digest is malformed")
        if not isinstance(self.hash, bytes):
            raise wire.Malformed("its hash is malformed")
        at, event = time_from(self.at), wire.decode_event(self.event)
        provenance = wire.provenance_from(wire.decode(self.provenance or b""))
        return LedgerEntry(
            self.position, self.user_id, self.version, at, event, provenance, self.notice_digest, self.hash.hex()
        )


def time_from(at: object) -> datetime:
    """Read the time in a column; `wire.Malformed` if the column holds something else."""
    try:
        return instant(datetime.fromisoformat(at))  # type: ignore[arg-type]
    except (TypeError, ValueError):
        raise wire.Malformed("its time is missing or malformed") from None


def fresh_salts(count: int) -> Iterator[bytes]:
    """Draw the salts of so many entries at once: each draw lets other threads have Python."""
    drawn = os.urandom(count * SALT_BYTES)
    return iter([drawn[start : start + SALT_BYTES] for start in range(0, len(drawn), SALT_BYTES)])


def stamp(
    record: ConsentRecord,
    events: Sequence[Event],
    at: datetime,
    head: Cursor,
    *,
    notices: NoticeRegistry,
    holders: HolderRegistry,
    provenance: Provenance,
    salts: Iterator[bytes],
) -> tuple[list[Link], ConsentRecord]:
    """
    Make the links that append *events* after *head*, and the record that they make. *notices* are the registered ones
    that the events name, *holders* all that are registered, where events of `holders.ERASING` need them. Each link
    takes one of *salts*.

    Raises:
        InvalidEvent: the policy refuses one of the events, each judged on the record that those before it make.
    """
    position, previous = head.position, bytes.fromhex(head.hash)
    links = []
    for number, event in enumerate(events, start=1):
        reason = refusal(record, event, at, notices, provenance, holders=holders)
        if reason is not None:
            raise InvalidEvent(f"event {number} of {len(events)}, {type(event).__name__}, is refused: {reason}")
        position += 1
        said = provenance.without_customer() if isinstance(event, Erased) else provenance
        entry = LedgerEntry(position, record.user_id, record.version + 1, at, event, said, notices.digest_for(event))
        record = fold(record, entry)
        links.append(_link(entry, previous, next(salts)))
        previous = links[-1].hash
    return links, record


def _link(entry: LedgerEntry, previous: bytes, salt: bytes) -> Link:
    at, event = _spelled(entry.at), wire.encode_event(entry.event)
    provenance = wire.encode(wire.provenance_fields(entry.provenance))
    content = (entry.user_id, entry.version, at, event, provenance, entry.notice_digest)
    digest = _digest(salt, content)
    return Link(entry.position, *content, salt, digest, _hash(previous, entry.position, digest))


@lru_cache(1)  # the entries of one transaction have one time
def _spelled(at: datetime) -> str:
    return at.isoformat()


def _digest(salt: bytes, content: Content) -> bytes:
    user_id, version, at, event, provenance, notice_digest = content
    digested = {
        "at": at, "event": msgspec.Raw(event), "notice_digest": notice_digest, "provenance": msgspec.Raw(provenance),
        "user_id": user_id, "version": version,
    }  # fmt: skip
    return hashlib.sha256(salt + wire.encode(digested)).digest()


def _hash(previous: bytes, position: int, digest: bytes) -> bytes:
    return hashlib.sha256(previous + position.to_bytes(8, "big") + digest).digest()


def check_link(link: Link, position: int, previous: bytes) -> LedgerEntry | None:
    """
    Check that a link follows the one at *position* with the hash *previous*, and decode it; None if it was erased.

    Raises:
        LedgerBroken: the link does not follow, or its content was altered.
    """
    position += 1
    if link.position != position:
        raise LedgerBroken(position, "the entry is missing")
    if not isinstance(link.digest, bytes) or link.hash != _hash(previous, position, link.digest):
        raise LedgerBroken(position, "its hash does not follow from the entry before")
    if link.event is None:
        kept = (link.user_id, link.version, link.at, link.provenance, link.notice_digest, link.salt)
        if any(value is not None for value in kept):
            raise LedgerBroken(position, "it was erased in part")
        return None
    try:
        entry = link.entry()
        provenance = link.provenance or b""
        content = (entry.user_id, entry.version, link.at or "", link.event, provenance, entry.notice_digest)
        whole = _digest(link.salt or b"", content)
    except (TypeError, ValueError) as error:
        raise LedgerBroken(position, str(error)) from None
    if whole != link.digest:
        raise LedgerBroken(position, "its content was altered")
    return entry


@attrs.define
class Verifier:
    """
    Re-computes the chain link by link, in order of position. `LedgerBroken` names the first that does not fit.

    *since* is a head that was kept. `HeadNotContinued` if the chain does not lead through it, whatever its epoch:
    another epoch begins at a restart too. *notices* are the digests of the registered notices by id, None for one that
    is not what its digest says; without them the notices of entries are not checked.
    """

    since: Cursor | None = None
    notices: Mapping[str, str | None] | None = None
    position: int = 0
    hash: bytes = GENESIS
    at: datetime | None = None  # of the last entry
    _versions: dict[str, int] = attrs.field(factory=dict)
    _erased: int = 0
    _owed: int = 0

    def __attrs_post_init__(self) -> None:
        self._check_kept_head()

    def add(self, link: Link) -> None:
        """Check one more link."""
        entry = check_link(link, self.position, self.hash)
        if entry is None:
            self._erased += 1
        else:
            self._check_place(entry)
            self._check_notice(entry)
        self.position, self.hash = link.position, link.hash
        self._check_kept_head()

    def _check_kept_head(self) -> None:
        kept = self.since
        if kept is not None and kept.position == self.position and kept.hash != self.hash.hex():
            raise HeadNotContinued(self.position, "the entry there has another hash")

    def _check_place(self, entry: LedgerEntry) -> None:
        if self.at is not None and entry.at < self.at:
            raise LedgerBroken(entry.position, "its time runs back")
        expected = self._versions.get(entry.user_id, 0) + 1
        if isinstance(entry.event, Erased):
            self._owed += entry.version - expected
        elif entry.version != expected:
            raise LedgerBroken(entry.position, "an earlier entry of its user is missing")
        self._versions[entry.user_id], self.at = entry.version, entry.at

    def _check_notice(self, entry: LedgerEntry) -> None:
        if self.notices is None or entry.notice_digest is None:
            return
        notice = entry.event.notice if isinstance(entry.event, NAMING) else None
        if notice is None or notice not in self.notices:
            raise LedgerBroken(entry.position, "the notice that it names is not registered")
        if self.notices[notice] != entry.notice_digest:
            raise LedgerBroken(entry.position, "the notice that it names was altered")

    @property
    def users(self) -> int:
        """How many users have entries."""
        return len(self._versions)

    def finish(self) -> None:
        """
        Check what only the whole ledger shows: that it reaches the kept head, and that each erased entry is accounted
        for by a tombstone.
        """
        if self.since is not None and self.since.position > self.position:
            raise HeadNotContinued(
                self.position + 1, f"the entry is missing, and so are all up to the kept head at {self.since.position}"
            )
        if self._erased != self._owed:
            raise LedgerBroken(self.position, f"{self._erased} entries are erased, its tombstones own {self._owed}")

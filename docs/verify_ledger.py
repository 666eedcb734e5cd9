"""Verify a SQLite ledger with Python's standard library alone: python verify_ledger.py consents.db [HEAD]."""

import hashlib
import json
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing
from typing import Any


def check(holds: object, why: str) -> None:
    """Raise `ValueError` with the reason unless something holds."""
    if not holds:
        raise ValueError(why)


def canonical(value: Any) -> str:
    """RFC 8785 JSON of strings, whole numbers, null, lists, and objects with ASCII keys."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def digest_of(content: dict[str, Any], salt: bytes) -> bytes:
    """SHA-256 of the salt and the content's JSON; a column of bytes holds JSON, which is taken as it stands."""
    parts = (f'"{name}":{v.decode() if isinstance(v, bytes) else canonical(v)}' for name, v in sorted(content.items()))
    return hashlib.sha256(salt + f"{{{','.join(parts)}}}".encode()).digest()


def registered(db: sqlite3.Connection) -> Iterator[tuple[str, str]]:
    """Each registered notice with its digest, computed from its words and from what it names."""
    for notice, terms, texts in db.execute("SELECT notice, terms, texts FROM notices"):
        content = json.loads(terms) | {"notice": notice, "texts": json.loads(texts)}
        digest = content.pop("digest")
        check(hashlib.sha256(canonical(content).encode()).hexdigest() == digest, f"the notice {notice} was altered")
        yield notice, digest


def verify(path: str, head: str = "") -> tuple[int, str]:
    """Return the position and hash that the chain leads to; `ValueError`: the ledger is broken, or not the head's."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, isolation_level=None)) as db:
        db.execute("BEGIN")  # one state of the ledger for all that follows
        return walk(db, head)


def walk(db: sqlite3.Connection, head: str) -> tuple[int, str]:
    """Walk over all entries; see `verify`."""
    kept = (int(head.split(".")[1]), head.split(".")[2]) if head else (0, "00" * 32)  # the epoch does not count
    notices, versions, position, chained = dict(registered(db)), dict[str, int](), 0, bytes(32)
    last_at, blank, owed, is_kept = "", 0, 0, kept == (0, chained.hex())
    for row in (rows := db.execute("SELECT * FROM entries ORDER BY position")):
        content = dict(zip([column[0] for column in rows.description], row, strict=True))
        at_position, salt, digest, link = (content.pop(name) for name in ("position", "salt", "digest", "hash"))
        position += 1
        check(type(digest) is bytes, f"entry {position} has no digest")
        chained = hashlib.sha256(chained + position.to_bytes(8, "big") + digest).digest()
        check((at_position, link) == (position, chained), f"entry {position} does not follow from the one before")
        is_kept |= kept == (position, chained.hex())
        if all(value is None for value in (salt, *content.values())):
            blank += 1
            continue
        check(type(salt) is bytes and digest_of(content, salt) == digest, f"entry {position} was altered")
        event, user, version, at = json.loads(content["event"]), content["user_id"], content["version"], content["at"]
        missing = version - versions.get(user, 0) - 1
        check(missing == 0 or event["type"] == "Erased", f"an entry of the user of entry {position} is missing")
        check(at >= last_at, f"the time of entry {position} runs back")
        check(content.get("notice_digest") in {None, notices.get(event.get("notice"))}, f"notice of entry {position}")
        versions[user], last_at, owed = version, at, owed + missing
    check(blank == owed, f"{blank} entries are blank, tombstones account for {owed}")
    check(is_kept, f"the ledger does not continue the head kept at {kept[0]}")
    return position, chained.hex()


if __name__ == "__main__":
    print(*verify(*sys.argv[1:]))

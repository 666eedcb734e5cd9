"""
Registered notices as rows of a SQL database.

What a notice names stands in one column and its words in another, so that an append reads no words.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ...identifiers import optional_identifier
from ...notices import NoticeRegistry, NoticeTerms, NoticeText, RegisteredNotice
from .. import wire
from .hash_chain import time_from
from .statements import Row, Statement

COLUMNS = "notice, registered_at, writer, terms, texts"
ALL_NOTICES = f"SELECT {COLUMNS} FROM notices"  # noqa: S608 - our own columns

for _kind in (NoticeTerms, dict[str, str]):
    wire.prepared(_kind)


def select_notice(notice: str) -> Statement:
    """Read a notice, if it is registered."""
    return f"{ALL_NOTICES} WHERE notice = ?", (notice,)


def select_notices(after: str, limit: int) -> Statement:
    """Read the notices after an id, in order of ids."""
    return f"{ALL_NOTICES} WHERE notice > ? ORDER BY notice LIMIT ?", (after, limit)


def insert_notice(row: Row) -> Statement:
    """Write a row of `COLUMNS`."""
    return f"INSERT INTO notices ({COLUMNS}) VALUES (?, ?, ?, ?, ?)", tuple(row)  # noqa: S608 - our own columns


def row_from(registered: RegisteredNotice) -> Row:
    """Make the row of a notice."""
    text, at = registered.text, registered.registered_at.isoformat()
    return text.notice, at, registered.by, wire.encode(text.terms()), wire.encode(text.texts)


def notice_from(row: Row) -> RegisteredNotice:
    """Read a row of `COLUMNS`; `wire.Malformed` if it holds no notice."""
    notice, registered_at, writer, data, texts = row
    terms = wire.read(data, NoticeTerms)
    try:
        text = NoticeText(
            notice=notice, texts=wire.read(texts, dict[str, str]),
            purposes=terms.purposes, data=terms.data, recipient=terms.recipient, sensitive=terms.sensitive,
        )  # fmt: skip
        by = optional_identifier(writer)
    except (TypeError, ValueError) as error:
        raise wire.Malformed(f"a notice: {error}") from None
    return RegisteredNotice(text, terms.digest, time_from(registered_at), by)


def recomputed_digests(rows: Iterable[Row]) -> dict[str, str | None]:
    """Re-compute the digest of each registered notice, by id; None where it is not the one that is kept."""
    digests: dict[str, str | None] = {}
    for row in rows:
        try:
            registered = notice_from(row)
        except wire.Malformed:
            digests[str(row[0])] = None
        else:
            is_right = registered.text.digest == registered.digest
            digests[registered.text.notice] = registered.digest if is_right else None
    return digests


def registry_from(rows: Iterable[Row], required: Sequence[Row]) -> NoticeRegistry:
    """Make the registry that an append looks at, from rows of id and terms, and a row if notices are required."""
    return NoticeRegistry({notice: wire.read(terms, NoticeTerms) for notice, terms in rows}, is_required=bool(required))

"""The words that a customer was shown: which registered notice an entry names, and in which language it was read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from ..events import LedgerEntry
from ..notices import NAMING, RegisteredNotice
from ..vocabulary import Language

Notices = Mapping[str, RegisteredNotice]


def named_notice(entry: LedgerEntry) -> str | None:
    """Return the id of the notice that an entry names; None if it names none."""
    return entry.event.notice if isinstance(entry.event, NAMING) else None


def registered_names(entries: Iterable[LedgerEntry]) -> list[str]:
    """List the ids of the notices that were registered when an entry named them, each once, in order."""
    named = (named_notice(entry) for entry in entries if entry.notice_digest is not None)
    return list(dict.fromkeys(notice for notice in named if notice is not None))


def words_shown(entry: LedgerEntry, notices: Notices, language: Language) -> tuple[RegisteredNotice, str] | None:
    """
    Find the words that were shown with an entry.

    Args:
        entry: What the customer said.

        notices: The registered notices that the user's entries name, by id.

        language: The language to show where it is not known in which one the customer was asked.

    Returns:
        The notice, and the tag of its text in the language it was asked in. None: no words are proved by the entry,
        because it names no notice, or none that was registered then.
    """
    named = named_notice(entry)
    notice = None if named is None else notices.get(named)
    if notice is None or notice.digest != entry.notice_digest:
        return None
    tags = {tag.lower(): tag for tag in notice.text.texts}
    wanted = [*_ever_shorter(entry.provenance.language), language]
    return notice, next((tags[tag] for tag in wanted if tag in tags), next(iter(notice.text.texts)))


def _ever_shorter(tag: str | None) -> Iterator[str]:
    """Yield a BCP 47 tag and what is left of it without its last parts: the look-up of RFC 4647."""
    parts = [] if tag is None else tag.lower().split("-")
    for length in range(len(parts), 0, -1):
        yield "-".join(parts[:length])

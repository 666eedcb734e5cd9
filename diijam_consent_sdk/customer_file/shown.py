"""The words that a customer was shown: which registered notice an entry names, and in which language it was read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import attrs

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


@attrs.frozen
class Shown:
    """
    A registered notice, and the tag of one of its texts. `is_asked`: the entry says that the customer was asked in that
    language, so this is the text that was read; else nobody knows which one was.
    """

    notice: RegisteredNotice
    tag: str
    is_asked: bool


def words_shown(entry: LedgerEntry, notices: Notices, language: Language) -> Shown | None:
    """
    Find the words that were shown with an entry.

    Args:
        entry: What the customer said.

        notices: The registered notices that the user's entries name, by id.

        language: The language to show where the notice has no text in the one in which the customer was asked, or
            where that is not known.

    Returns:
        The words. None: no words are proved by the entry, because it names no notice, or none that was registered then.
    """
    named = named_notice(entry)
    notice = None if named is None else notices.get(named)
    if notice is None or notice.digest != entry.notice_digest:
        return None
    tags = list(notice.text.texts)
    asked = _nearest(tags, entry.provenance.language)
    return Shown(notice, asked or _nearest(tags, language) or tags[0], asked is not None)


def _nearest(tags: list[str], wanted: str | None) -> str | None:
    """Find the tag, else that of a shorter form, else the only one of a longer form (`en-GB` for `en`)."""
    known = {tag.lower(): tag for tag in tags}
    exact = next((known[tag] for tag in _ever_shorter(wanted) if tag in known), None)
    longer = [tag for tag in tags if wanted is not None and tag.lower().startswith(f"{wanted.lower()}-")]
    return exact or (longer[0] if len(longer) == 1 else None)


def _ever_shorter(tag: str | None) -> Iterator[str]:
    """Yield a BCP 47 tag and what is left of it without its last parts: the look-up of RFC 4647."""
    parts = [] if tag is None else tag.lower().split("-")
    for length in range(len(parts), 0, -1):
        yield "-".join(parts[:length])

"""How an entry was said and who wrote it, in words that customers read."""

from __future__ import annotations

from collections.abc import Iterator

from ..events import Provenance
from ..vocabulary import Language
from . import format_instant, text_in
from .headings import HEADINGS

NAMED_LANGUAGES = ("vi", "en")


def provenance_facts(language: Language, provenance: Provenance) -> Iterator[tuple[str, str]]:
    """Yield what is known of way, writer, evidence and language, each with its label; not the time of an import."""
    facts = (
        ("method", provenance.method and provenance.method.label(language)),
        ("by", provenance.by),
        ("evidence", provenance.evidence),
        ("language", provenance.language and name_language(language, provenance.language)),
    )
    for key, value in facts:
        if value:
            yield text_in(language, HEADINGS[key]), value


def import_claim(language: Language, provenance: Provenance) -> str:
    """Tell when it was said as the importer claims; empty if it was said to this ledger."""
    if provenance.said_at is None:
        return ""
    return text_in(language, HEADINGS["claimed"]).format(at=format_instant(language, provenance.said_at))


def name_language(language: Language, tag: str) -> str:
    """Name the language of a tag, or give the tag if it has no name here."""
    primary = tag.partition("-")[0].lower()
    if primary not in NAMED_LANGUAGES:
        return tag
    name = text_in(language, HEADINGS[primary])
    return name if primary == tag.lower() else f"{name} ({tag})"

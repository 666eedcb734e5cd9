"""A customer's file as one HTML page."""

from __future__ import annotations

from collections.abc import Iterator

from .._html import Markup, element
from ..documents.sheet import contents, head, write_page
from ..documents.texts import Texts
from ..wording.headings import HEADINGS
from .contents import Contents
from .entries_section import entries_section, notices_section, proof_section
from .now_section import now_section
from .work_sections import holds_section, requests_section


def render(file: Contents) -> str:
    """Write the page. A browser runs and fetches nothing on it, whatever the texts of the file hold."""
    texts = Texts(file.language, HEADINGS)
    sections = list(_sections(file, texts))
    parts = *_head(file, texts, [name for name, _ in sections]), *(part for _, part in sections)
    return write_page(texts, parts, __package__)


def _sections(file: Contents, texts: Texts) -> Iterator[tuple[str, Markup]]:
    """Yield the sections in order, each with the key of its heading."""
    if not file.is_erased:
        yield "now", now_section(file, texts)
        yield "requests", requests_section(file, texts)
        yield "holds", holds_section(file, texts)
        yield "said", entries_section(file, texts)
        yield "notices", notices_section(file, texts)
    yield "proof", proof_section(file, texts)


def _head(file: Contents, texts: Texts, sections: list[str]) -> Iterator[Markup]:
    facts = ("customer", file.user_id), ("made_at", texts.time(file.made_at)), ("entries", str(len(file.entries)))
    yield from head(texts, facts)
    if not file.entries:
        yield element("p", texts("nothing"), class_="note")
    if file.is_erased:
        yield element("h2", texts("anonymised" if file.record.anonymised else "erased"), class_="first")
        yield element("p", texts("tombstone", at=texts.time(file.entries[-1].at)))
    else:
        yield contents(texts, sections)

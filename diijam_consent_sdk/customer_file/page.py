"""A customer's file as one HTML page."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from importlib.resources import files

from .._html import Markup, content_policy, element, page
from .contents import Contents
from .entries_section import entries_section, notices_section, proof_section
from .now_section import now_section
from .texts import Texts
from .work_sections import holds_section, requests_section


@cache
def _style() -> str:
    return files(__package__).joinpath("style.css").read_text(encoding="utf-8")


def render(file: Contents) -> str:
    """Write the page. A browser runs and fetches nothing on it, whatever the texts of the file hold."""
    texts = Texts(file.language)
    sections = list(_sections(file, texts))
    parts = *_head(file, texts, [name for name, _ in sections]), *(part for _, part in sections)
    style = _style()
    return page(
        f"{texts('title')} · {file.user_id} · Diijam", element("main", *parts, class_="sheet"), style,
        language=file.language, policy=content_policy(style),
    )  # fmt: skip


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
    yield element("p", "Diijam", class_="brand")
    yield element("h1", texts("title"))
    yield element("p", texts("lead"), class_="lead")
    facts = ("customer", file.user_id), ("made_at", texts.time(file.made_at)), ("entries", str(len(file.entries)))
    yield element("dl", *(element("div", element("dt", texts(n)), element("dd", v)) for n, v in facts), class_="facts")
    yield element("p", texts("times"), class_="hint")
    if not file.entries:
        yield element("p", texts("nothing"), class_="note")
    if file.is_erased:
        yield element("h2", texts("anonymised" if file.record.anonymised else "erased"), class_="first")
        yield element("p", texts("tombstone", at=texts.time(file.entries[-1].at)))
    if len(sections) > 1:
        contents = (element("li", element("a", texts(name), href=f"#{name}")) for name in sections)
        heading = element("h2", texts("contents"), id="contents")
        yield element("nav", heading, element("ul", *contents), aria_labelledby="contents")

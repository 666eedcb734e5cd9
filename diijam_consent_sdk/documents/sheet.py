"""The frame of a document: what stands above its sections, and one HTML page with the style inline."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cache
from importlib.resources import files

from .._html import Markup, content_policy, element, join, page
from ..policy import CLAUSES
from ..wording import text_in
from .texts import Texts


@cache
def read_style(package: str) -> str:
    """Read the style.css of a package. That of this package is for all documents."""
    return files(package).joinpath("style.css").read_text(encoding="utf-8")


def head(texts: Texts, facts: Iterable[tuple[str, str]]) -> Iterator[Markup]:
    """
    Yield what stands above the sections.

    Args:
        texts: Those of the document, `title`, `lead` and `times` among them.

        facts: The key of each fact's name, and the fact.
    """
    yield element("p", "Diijam", class_="brand")
    yield element("h1", texts("title"))
    yield element("p", texts("lead"), class_="lead")
    yield element("dl", *(element("div", element("dt", texts(n)), element("dd", v)) for n, v in facts), class_="facts")
    yield element("p", texts("times"), class_="hint")


def contents(texts: Texts, sections: Iterable[str]) -> Markup:
    """Build the list of the sections, by the keys of their headings."""
    items = (element("li", element("a", texts(name), href=f"#{name}")) for name in sections)
    heading = element("h2", texts("contents"), id="contents")
    return element("nav", heading, element("ul", *items), aria_labelledby="contents")


def clauses(texts: Texts) -> Markup:
    """List the titles of the clauses that the answers name by number."""
    titles = [(str(number), text_in(texts.language, title)) for number, title in CLAUSES.items()]
    items = (element("li", element("b", number), f" {title}") for number, title in titles)
    return element("div", element("h3", texts("clauses")), element("ul", *items, class_="clauses"))


def proof_of(head: str, texts: Texts) -> Markup:
    """Name the ledger's head when a document was made, and the command that checks the ledger against it."""
    command = f"diijam-consent verify --since {head}"
    facts = ("head", head), ("check", command)
    parts = [part for key, text in facts for part in (element("dt", texts(key)), element("dd", element("code", text)))]
    return element("dl", *parts, class_="proof")


def write_page(texts: Texts, parts: Iterable[Markup], package: str) -> str:
    """
    Write the page. A browser runs and fetches nothing on it, whatever the texts hold. It keeps the page's title in its
    history, so that names nobody.

    Args:
        texts: Those of the document, `title` among them.

        parts: The head and the sections.

        package: The package of the document, whose style comes after that of all documents.
    """
    style = read_style(__package__) + read_style(package)
    policy = content_policy(style)
    title = join([texts("title"), " · Diijam"])
    return page(title, element("main", *parts, class_="sheet"), style, language=texts.language, policy=policy)

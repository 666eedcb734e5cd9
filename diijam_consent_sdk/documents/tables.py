"""Tables of a document: a caption for those who do not see it, a header for each column, a header for each row."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from .._html import Markup, element, join
from .texts import Texts

Row = Sequence[Markup]


def table(caption: str, columns: Iterable[str], rows: Iterable[Row]) -> Markup:
    """Build a table. The first cell of each row is its header. On a narrow screen it scrolls, also by the keyboard."""
    head = element("tr", *(element("th", column, scope="col") for column in columns))
    body = (element("tr", *row) for row in rows)
    grid = element("table", element("thead", head), element("tbody", *body), aria_label=caption)
    return element("div", grid, class_="scroll", tabindex="0", role="group", aria_label=caption)


def head_cell(*content: str, class_: str = "") -> Markup:
    """Build the header of a row."""
    return element("th", *content, scope="row", class_=class_)


def cell(*content: str, class_: str = "") -> Markup:
    """Build a cell."""
    return element("td", *content, class_=class_)


def lines(*parts: str) -> Markup:
    """Put parts below each other, the first as it is, the others smaller."""
    first, *others = parts
    return join([first, *(element("span", part, class_="why") for part in others if part)])


def badge(texts: Texts, *, is_yes: bool) -> Markup:
    """Say yes or no, by word and sign and not by colour alone."""
    name = "yes" if is_yes else "no"
    return element("span", texts(name), class_=name)


def section(texts: Texts, name: str, *content: str) -> Markup:
    """Build a section of a document under its heading."""
    heading = element("h2", texts(name), id=name)
    return element("section", heading, *content, aria_labelledby=name)

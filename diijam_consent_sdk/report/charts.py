"""Charts as inline SVG. They stand beside a table that has the numbers, and tell their parts apart without colour."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate, repeat
from operator import mul

import attrs

from .._html import Markup, element

WIDTH, HEIGHT = 720, 210
LEFT, TOP, BOTTOM = 56, 14, 26  # room for the numbers, the highest bar's end and the months
MAX_BAR = 18.0
MAX_LABELS = 8
BAR_WIDTH, BAR_HEIGHT = 160, 12


@attrs.frozen
class Column:
    """A month of a chart: its label, and how high its two bars are."""

    label: str
    yes: int
    no: int


@attrs.frozen
class Mark:
    """A line of a chart's grid: how high it lies, and the number beside it."""

    value: int
    label: str


def highest_mark(highest: int) -> int:
    """Return the least of 2, 4, 6 … 18, 20, 40, 60 … 180, 200, 400 … that is not below *highest*."""
    marks = (step * power for power in accumulate(repeat(10), mul, initial=1) for step in range(2, 20, 2))
    return next(mark for mark in marks if mark >= highest)


def bar(parts: Iterable[tuple[str, int]]) -> Markup:
    """Draw how a whole divides, as one bar. Each part has a class and a number."""
    given = [(name, number) for name, number in parts if number]
    whole, at, pieces = sum(number for _, number in given), 0.0, list[Markup]()
    for name, number in given:
        width = BAR_WIDTH * number / whole
        pieces.append(_rectangle(f"part-{name}", at, 0, width, BAR_HEIGHT))
        at += width
    box = f"-1 -1 {BAR_WIDTH + 2} {BAR_HEIGHT + 2}"
    return element("svg", *pieces, class_="bar", viewBox=box, aria_hidden="true", focusable="false")


def columns_chart(columns: Sequence[Column], marks: Sequence[Mark], description: str) -> Markup:
    """
    Draw two bars for each month.

    Args:
        columns: The months, in order; at least one.

        marks: The grid's lines, the highest last.

        description: What a screen reader says in its place.
    """
    top = marks[-1].value
    parts = [*_grid(marks, top), *_bars(columns, top)]
    chart = element(
        "svg", *parts, class_="columns", viewBox=f"0 0 {WIDTH} {HEIGHT}", role="img", aria_label=description
    )
    return element("div", chart, class_="scroll chart", tabindex="0", role="group", aria_label=description)


def legend(keys: Iterable[tuple[str, str]]) -> Markup:
    """Name the parts of a chart: each class and its name."""
    return element("p", *(element("span", _swatch(name), text, class_="key") for name, text in keys), class_="legend")


def _swatch(name: str) -> Markup:
    piece = _rectangle(f"part-{name}", 0, 0, 10, 10)
    return element("svg", piece, class_="swatch", viewBox="-1 -1 12 12", aria_hidden="true", focusable="false")


def _height(value: int, top: int) -> float:
    return (HEIGHT - TOP - BOTTOM) * value / top


def _grid(marks: Iterable[Mark], top: int) -> Iterator[Markup]:
    for mark in marks:
        y = _short(HEIGHT - BOTTOM - _height(mark.value, top))
        yield element("line", class_="grid", x1=str(LEFT), x2=str(WIDTH), y1=y, y2=y)
        yield element("text", mark.label, class_="mark", x=str(LEFT - 8), y=y, dy="4")


def _bars(columns: Sequence[Column], top: int) -> Iterator[Markup]:
    slot = (WIDTH - LEFT) / len(columns)
    width, every = min(slot * 0.36, MAX_BAR), -(-len(columns) // MAX_LABELS)
    for number, column in enumerate(columns):
        middle = LEFT + (number + 0.5) * slot
        for name, value, x in ("yes", column.yes, middle - width), ("no", column.no, middle):
            if value:
                height = _height(value, top)
                yield _rectangle(f"part-{name}", x, HEIGHT - BOTTOM - height, width, height)
        if number % every == 0:
            yield element("text", column.label, class_="month", x=_short(middle), y=str(HEIGHT - 8))


def _rectangle(class_: str, x: float, y: float, width: float, height: float) -> Markup:
    return element("rect", class_=class_, x=_short(x), y=_short(y), width=_short(width), height=_short(height))


def _short(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".")

"""The sections on yeses and noes by month: those that were said here, and those that were imported."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import date

from .._html import Markup, element
from ..documents.tables import Row, cell, head_cell, lines, section, table
from ..documents.texts import Texts
from .charts import Column, Mark, columns_chart, highest_mark, legend
from .entry_counts import SUBJECTS, Subject, Words

MONTHS_SHOWN = 24  # the JSON has all
Sums = Counter[tuple[Subject, bool]]


def words_section(name: str, words: Words, last: date, texts: Texts) -> Markup:
    """
    Build the section of this name, with a chart and a table of the months down to *last*. What is dated later is in one
    row, as what is dated long before: an imported no may have any date, and a wrong one must not put away the others.
    """
    if not words:
        return section(texts, name, element("p", texts(f"{name}_none")))
    shown = months_until(last, min(last, *(word.month for word in words)))
    by_month = {month: Sums() for month in shown}
    earlier, later = Sums(), Sums()
    for word, number in words.items():
        sums = by_month.get(word.month, later if word.month > last else earlier)
        sums[word.subject, word.is_yes] += number
    return section(
        texts, name, element("p", texts(f"{name}_lead"), class_="claim" if name == "imports" else ""),
        _chart(by_month, texts), legend((said, texts(f"said_{said}")) for said in ("yes", "no")),
        _table(name, by_month, earlier, later, texts), element("p", texts("in_each_cell"), class_="hint"),
    )  # fmt: skip


def months_until(last: date, first: date) -> list[date]:
    """List the months from *first* to *last*, of many the latest, in order."""
    end = 12 * last.year + last.month - 1
    begin = max(12 * first.year + first.month - 1, end - MONTHS_SHOWN + 1)
    return [date(number // 12, number % 12 + 1, 1) for number in range(begin, end + 1)]


def _chart(by_month: dict[date, Sums], texts: Texts) -> Markup:
    columns = [
        Column(f"{month.month}/{month.year}", _sum(sums, is_yes=True), _sum(sums, is_yes=False))
        for month, sums in by_month.items()
    ]
    top = highest_mark(max(max(column.yes, column.no) for column in columns))
    return columns_chart(columns, [Mark(value, texts.number(value)) for value in (0, top // 2, top)], texts("chart"))


def _sum(sums: Sums, *, is_yes: bool) -> int:
    return sum(number for (_, said), number in sums.items() if said is is_yes)


def _table(name: str, by_month: dict[date, Sums], earlier: Sums, later: Sums, texts: Texts) -> Markup:
    columns = [texts("month"), *(_name(subject, texts) for subject in SUBJECTS)]
    return element("div", table(texts(name), columns, list(_rows(by_month, earlier, later, texts))), class_="months")


def _name(subject: Subject, texts: Texts) -> Markup:
    purpose, channel = subject
    return lines(texts.name(purpose)) if channel is None else lines(texts.name(channel), texts("marketing"))


def _rows(by_month: dict[date, Sums], earlier: Sums, later: Sums, texts: Texts) -> Iterator[Row]:
    total = sum(by_month.values(), start=earlier + later)
    if earlier:
        yield _row(texts("earlier"), earlier, texts)
    for month, sums in by_month.items():
        yield _row(texts.month(month), sums, texts)
    if later:
        yield _row(texts("later"), later, texts)
    yield _row(texts("total"), total, texts)


def _row(name: Markup, sums: Sums, texts: Texts) -> Row:
    cells: Sequence[Markup] = [_cell(sums[subject, True], sums[subject, False], texts) for subject in SUBJECTS]
    return head_cell(name), *cells


def _cell(yes: int, no: int, texts: Texts) -> Markup:
    return cell(f"{texts.number(yes)} / {texts.number(no)}" if yes or no else "-", class_="number")

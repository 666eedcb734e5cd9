"""The section on what may be done now: each ask, for how many users it is allowed and denied, and why."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from .._html import Markup, element, join
from ..decisions import Ask, Decision, Market, Process, Retain, Share, Show
from ..documents.sheet import clauses
from ..documents.tables import Row, cell, head_cell, lines, section, table
from ..documents.texts import Texts
from .charts import bar, legend
from .contents import Counts

KINDS: Mapping[str, type[Ask]] = {
    "purposes": Process, "channels": Market, "sharing": Share, "show": Show, "retain": Retain,
}  # fmt: skip
COLUMNS = {"purposes": "purpose", "channels": "channel", "sharing": "recipient", "show": "data", "retain": "data"}


def answers_section(report: Counts, texts: Texts) -> Markup:
    """Build the section."""
    if not report.answers.accounts:
        return section(texts, "answers", element("p", texts("answers_none")))
    parts = [element("p", texts("answers_lead")), legend([("yes", texts("allowed")), ("no", texts("denied"))])]
    for name, kind in KINDS.items():
        found = {ask: counts for ask, counts in report.answers.answers.items() if isinstance(ask, kind)}
        parts += [element("h3", texts(name)), _table(name, found, texts)]
        if name == "sharing":
            parts += _unregistered(report.entries.unregistered_sharings, texts)
    return section(texts, "answers", *parts, clauses(texts))


def _unregistered(sharings: int, texts: Texts) -> Iterator[Markup]:
    if sharings:
        yield element("p", texts("unregistered", count=texts.number(sharings)), class_="note")


def _table(name: str, found: Mapping[Ask, Mapping[Decision, int]], texts: Texts) -> Markup:
    if not found:
        return element("p", texts(f"{name}_none"))
    columns = (texts(COLUMNS[name]), texts("part"), texts("allowed"), texts("denied"))
    rows = [_row(asks, found[asks[0]], texts) for asks in _rows_of(found)]
    return table(texts(name), columns, rows)


def _rows_of(found: Mapping[Ask, Mapping[Decision, int]]) -> Iterable[list[Ask]]:
    """Divide asks into rows: fields that are answered alike stand together, any other ask by itself."""
    rows: dict[object, list[Ask]] = {}
    for ask, counts in found.items():
        key = frozenset(counts.items()) if isinstance(ask, (Show, Retain)) else ask
        rows.setdefault(key, []).append(ask)
    return rows.values()


def _row(asks: Sequence[Ask], counts: Mapping[Decision, int], texts: Texts) -> Row:
    allowed = {decision: number for decision, number in counts.items() if decision.allowed}
    denied = {decision: number for decision, number in counts.items() if not decision.allowed}
    yes, no = sum(allowed.values()), sum(denied.values())
    return (
        head_cell(_subject(asks, texts)),
        cell(bar([("yes", yes), ("no", no)]), class_="drawn"),
        _cell(yes, yes + no, allowed, texts),
        _cell(no, yes + no, denied, texts),
    )


def _subject(asks: Sequence[Ask], texts: Texts) -> Markup:
    match asks[0]:
        case Share(recipient, data, purpose):
            return lines(recipient, texts.labels(data), purpose.label(texts.language))
        case Process(word) | Market(word) | Show(word) | Retain(word):
            others = (ask.field.label(texts.language) for ask in asks[1:] if isinstance(ask, (Show, Retain)))
            return join([texts.name(word), *others], ", ")


def _cell(users: int, whole: int, counts: Mapping[Decision, int], texts: Texts) -> Markup:
    """Build the cell of the yeses or the noes: how many, which part, and the reasons, the most frequent first."""
    number = f"{texts.number(users)} ({texts.share(users, whole)})"
    return cell(lines(number, join(_reasons(counts, texts), "; ")), class_="reasons")


def _reasons(counts: Mapping[Decision, int], texts: Texts) -> Iterable[str]:
    is_one = len(counts) == 1
    for decision, number in sorted(counts.items(), key=lambda item: (-item[1], item[0].reason)):
        why = texts("why", reason=decision.reason.label(texts.language), clause=str(decision.clause))
        yield why if is_one else join([why, f": {texts.number(number)}"])

"""The sections on what is owed to customers: open and overdue requests, and erasures with what they wait for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from .._html import Markup, element
from ..documents.tables import Row, cell, head_cell, lines, section, table
from ..documents.texts import Texts
from ..vocabulary import HoldKind, Outcome, RequestKind, RequestState
from .charts import bar, legend
from .contents import Counts
from .entry_counts import EntryCounts, MonthlyErasure
from .work_counts import ErasureCounts, RequestCounts


def requests_section(report: Counts, texts: Texts) -> Markup:
    """Build the section on requests."""
    counts, entries = report.work.requests, report.entries
    columns = [texts("request"), texts("part"), *map(texts, RequestState), texts("open_total"), texts("filed")]
    rows = [_request_row(kind, counts, entries, texts) for kind in RequestKind]
    states = legend((state, texts(state)) for state in RequestState)
    return section(
        texts, "requests", element("p", texts("requests_lead")), states, table(texts("requests"), columns, rows),
        *_overdue(counts, texts), *_ended(entries, texts),
    )  # fmt: skip


def _request_row(kind: RequestKind, counts: RequestCounts, entries: EntryCounts, texts: Texts) -> Row:
    states = {state: counts.states[kind, state] for state in RequestState}
    numbers = *states.values(), sum(states.values()), entries.filed.get(kind, 0)
    return head_cell(texts.name(kind)), cell(bar(states.items()), class_="drawn"), *_numbers(numbers, texts)


def _numbers(numbers: Iterable[int], texts: Texts) -> Iterator[Markup]:
    return (cell(texts.number(number), class_="number") for number in numbers)


def _overdue(counts: RequestCounts, texts: Texts) -> Iterator[Markup]:
    yield element("h3", texts("overdue"))
    if not counts.overdue_since:
        yield element("p", texts("overdue_none"))
        return
    columns = map(texts, ("request", "overdue", "late_replies", "late_deeds", "overdue_since"))
    yield table(texts("overdue"), columns, [
        (
            head_cell(texts.name(kind)),
            *_numbers((counts.states[kind, RequestState.OVERDUE], counts.late_replies[kind], counts.late_deeds[kind]),
                      texts),
            cell(texts.brief_time(counts.overdue_since[kind])),
        )
        for kind in RequestKind
        if kind in counts.overdue_since
    ])  # fmt: skip
    yield element("p", texts("due_command", command=element("code", "diijam-consent due")), class_="hint")


def _ended(entries: EntryCounts, texts: Texts) -> Iterator[Markup]:
    yield element("h3", texts("ended"))
    yield element("p", texts("ended_lead"))
    rows = [(head_cell(texts.name(word)), *_numbers([entries.outcomes.get(word, 0)], texts)) for word in Outcome]
    yield table(texts("ended"), map(texts, ("outcome", "number")), rows)


def erasures_section(report: Counts, texts: Texts) -> Markup:
    """Build the section on erasures."""
    parts = [*_pending(report.work.erasures, texts), *_done(report.entries, texts)]
    return section(texts, "erasures", *parts)


def _pending(counts: ErasureCounts, texts: Texts) -> Iterator[Markup]:
    states = {"erasable": counts.erasable, "held": counts.held}
    if not any(states.values()):
        yield element("p", texts("erasures_none"))
        return
    yield element("p", texts("erasures_lead"))
    yield table(texts("erasures"), map(texts, ("state", "in_time", "overdue")), [
        (head_cell(texts(name)), *_numbers((number[False], number[True]), texts)) for name, number in states.items()
    ])  # fmt: skip
    if counts.held:
        yield element("h3", texts("waits"))
        yield table(texts("waits"), map(texts, ("waits", "waiting")), [*_waits(counts, texts)])


def _waits(counts: ErasureCounts, texts: Texts) -> Iterator[Row]:
    """Yield the rows of what erasures wait for: kinds of holds, then the holders that have not confirmed."""
    for kind in HoldKind:
        if counts.holds[kind]:
            yield head_cell(texts.name(kind)), *_numbers([counts.holds[kind]], texts)
    for holder, number in sorted(counts.holders.items()):
        yield head_cell(lines(holder, texts("unconfirmed"))), *_numbers([number], texts)


def _done(entries: EntryCounts, texts: Texts) -> Iterator[Markup]:
    yield element("h3", texts("done"))
    if not entries.erased:
        yield element("p", texts("done_none"))
        return
    yield element("p", texts("done_lead"))
    months = sorted({erasure.month for erasure in entries.erased})
    yield table(texts("done"), map(texts, ("month", "erased", "anonymised")), [
        (
            head_cell(texts.month(month)),
            *_numbers((entries.erased.get(MonthlyErasure(month, how), 0) for how in (False, True)), texts),
        )
        for month in months
    ])  # fmt: skip

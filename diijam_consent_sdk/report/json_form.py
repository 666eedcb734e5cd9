"""A report as JSON: numbers beside the words of the vocabulary."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TypeVar

from ..decisions import Ask, Decision
from ..documents.json_text import Json, machine_month, plain, plain_fields, write_json
from ..vocabulary import Account, HoldKind, Outcome, RequestKind, RequestState
from .contents import Counts
from .entry_counts import SUBJECTS, EntryCounts, MonthlyErasure, MonthlyWord, Words
from .work_counts import ErasureCounts, RequestCounts

K = TypeVar("K")


def encode(report: Counts) -> str:
    """Write a report as an indented object."""
    entries = report.entries
    return write_json({
        "made_at": plain(report.made_at),
        "head": report.head,
        "entries": entries.entries,
        "imported_entries": entries.imported_entries,
        "users": _numbers(Account, report.answers.accounts),
        "consents": [*_words(entries.said)],
        "imports": [*_words(entries.imported)],
        "answers": [_answers(ask, counts) for ask, counts in report.answers.answers.items()],
        "requests": _requests(report.work.requests, entries),
        "erasures": _erasures(report.work.erasures, entries),
        "unregistered_sharings": entries.unregistered_sharings,
    })  # fmt: skip


def _numbers(words: Iterable[K], counts: Mapping[K, int]) -> dict[str, Json]:
    """Give the number of each word, also where it is 0."""
    return {str(word): counts.get(word, 0) for word in words}


def _words(words: Words) -> Iterator[Json]:
    for month in sorted({word.month for word in words}):
        for purpose, channel in SUBJECTS:
            yes, no = (words.get(MonthlyWord((purpose, channel), month, said), 0) for said in (True, False))
            if yes or no:
                yield {"month": machine_month(month), "purpose": purpose, "channel": channel, "yes": yes, "no": no}


def _answers(ask: Ask, counts: Mapping[Decision, int]) -> Json:
    answers: list[Json] = [
        {"allowed": decision.allowed, "reason": decision.reason, "clause": decision.clause, "users": counts[decision]}
        for decision in sorted(counts, key=lambda decision: (not decision.allowed, -counts[decision], decision.reason))
    ]
    return {"ask": type(ask).__name__.lower(), **plain_fields(ask), "answers": answers}


def _requests(counts: RequestCounts, entries: EntryCounts) -> Json:
    return {
        "open": [
            {
                "kind": kind,
                **{state: counts.states[kind, state] for state in RequestState},
                "late_replies": counts.late_replies[kind],
                "late_deeds": counts.late_deeds[kind],
                "overdue_since": plain(counts.overdue_since.get(kind)),
            }
            for kind in RequestKind
        ],
        "filed": _numbers(RequestKind, entries.filed),
        "ended": _numbers(Outcome, entries.outcomes),
    }


def _erasures(counts: ErasureCounts, entries: EntryCounts) -> Json:
    done: list[Json] = [
        {"month": machine_month(month), **{
            name: entries.erased.get(MonthlyErasure(month, is_anonymised), 0)
            for name, is_anonymised in (("erased", False), ("anonymised", True))
        }}
        for month in sorted({erasure.month for erasure in entries.erased})
    ]  # fmt: skip
    return {
        "erasable": {"in_time": counts.erasable[False], "overdue": counts.erasable[True]},
        "held": {"in_time": counts.held[False], "overdue": counts.held[True]},
        "waiting_for_holds": _numbers(HoldKind, counts.holds),
        "waiting_for_holders": _numbers(sorted(counts.holders), counts.holders),
        "done": done,
    }

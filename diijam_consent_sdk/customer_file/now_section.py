"""The section on what holds now: purposes, channels, sharings and fields, each with its reason and clause."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from .._html import Markup, element
from ..decisions import Market, Process, Retain, Share, Show
from ..documents.sheet import clauses
from ..documents.tables import Row, badge, cell, head_cell, lines, section, table
from ..documents.texts import Texts
from ..record import ConsentRecord
from ..vocabulary import Field, Word
from .answers import Answer, answers_at
from .contents import Contents


def now_section(file: Contents, texts: Texts) -> Markup:
    """Build the section."""
    answers = list(answers_at(file.record, file.made_at))
    return section(texts, "now", *_remarks(file.record, texts), *_tables(answers, texts), clauses(texts))


def _remarks(record: ConsentRecord, texts: Texts) -> Iterator[Markup]:
    """Yield what holds beside the answers: the account, a pending erasure, restrictions and objections."""
    since = {} if record.account_changed_at is None else {"at": texts.time(record.account_changed_at)}
    yield element("p", texts(f"account_{record.account}", **since))
    if record.is_erasing():
        yield element("p", texts("erasing"), class_="note")
    if record.is_all_restricted():
        yield element("p", texts("restricted_all"), class_="note")
    elif record.restricted:
        yield element("p", texts("restricted", data=texts.labels(record.restricted)), class_="note")
    if record.objected:
        yield element("p", texts("objected", purposes=texts.labels(record.objected)), class_="note")


def _tables(answers: list[Answer], texts: Texts) -> Iterator[Markup]:
    decided = "answer", "why", "clause"
    purposes = [(a.ask.purpose, a) for a in answers if isinstance(a.ask, Process)]
    channels = [(a.ask.channel, a) for a in answers if isinstance(a.ask, Market)]
    yield from _titled(texts, "purposes", ("purpose", *decided), [_row(*found, texts) for found in purposes])
    yield from _titled(texts, "channels", ("channel", *decided), [_row(*found, texts) for found in channels])
    sharings = [_sharing_row(answer.ask, answer, texts) for answer in answers if isinstance(answer.ask, Share)]
    yield from _titled(texts, "sharing", ("recipient", "data", "purpose", *decided), sharings)
    shown = {answer.ask.field: answer for answer in answers if isinstance(answer.ask, Show)}
    kept = {answer.ask.field: answer for answer in answers if isinstance(answer.ask, Retain)}
    rows = [
        (head_cell(texts.name(field)), _in_short(shown[field], texts), _in_short(kept[field], texts)) for field in Field
    ]
    yield from _titled(texts, "fields", ("data", "show", "retain"), rows)


def _titled(texts: Texts, name: str, columns: Sequence[str], rows: Sequence[Row]) -> Iterator[Markup]:
    yield element("h3", texts(name))
    if rows:
        yield table(texts(name), map(texts, columns), rows)
    else:
        yield element("p", texts(f"{name}_none"))


def _row(subject: Word, answer: Answer, texts: Texts) -> Row:
    return head_cell(texts.name(subject)), *_decided(answer, texts)


def _sharing_row(ask: Share, answer: Answer, texts: Texts) -> Row:
    about = cell(texts.labels(ask.data)), cell(ask.purpose.label(texts.language))
    return head_cell(ask.recipient), *about, *_decided(answer, texts)


def _decided(answer: Answer, texts: Texts) -> Row:
    """Build the cells of an answer: yes or no, the reason in a sentence, and the clause."""
    decision = answer.decision
    return (
        cell(badge(texts, is_yes=decision.allowed), class_="answer"),
        cell(decision.message(texts.language)),
        cell(str(decision.clause), class_="clause"),
    )


def _in_short(answer: Answer, texts: Texts) -> Markup:
    """Build one cell of an answer, with the reason in a few words."""
    decision = answer.decision
    clause = texts("in_clause", clause=str(decision.clause))
    return cell(
        lines(badge(texts, is_yes=decision.allowed), f"{texts.name(decision.reason)} ({clause})"), class_="short"
    )

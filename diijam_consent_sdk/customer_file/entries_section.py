"""The sections on all that was recorded, on the words that were shown, and on the proofs."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

from .._html import Markup, element, join
from ..documents.sheet import proof_of
from ..documents.tables import cell, head_cell, section, table
from ..documents.texts import Texts
from ..events import LedgerEntry
from ..notices import RegisteredNotice
from ..wording import in_vietnam
from ..wording.provenance import provenance_facts
from .contents import Contents
from .shown import named_notice

Numbers = dict[str, int]  # of the notices whose words were shown, by id, in the order of the page


def entries_section(file: Contents, texts: Texts) -> Markup:
    """Build the section on all that was recorded, day by day, the oldest first."""
    numbers: Numbers = {}
    days = []
    for _, entries in groupby(file.entries, key=lambda entry: in_vietnam(entry.at).date()):
        of_day = list(entries)
        items = [_entry(file, entry, numbers, texts) for entry in of_day]
        days.append(element("div", element("h3", texts.day(of_day[0].at)), element("ol", *items), class_="day"))
    return section(texts, "said", *days)


def _entry(file: Contents, entry: LedgerEntry, numbers: Numbers, texts: Texts) -> Markup:
    said = element("p", file.describe(entry), class_="what")
    told = element("div", said, *_words_line(file, entry, numbers, texts), *_provenance(entry, texts))
    number = element("span", f"{texts('number')} {entry.version}", class_="why")
    when = element("p", texts.clock(entry.at), number, class_="when")
    return element("li", when, told, class_="entry", id=f"entry-{entry.version}")


def _words_line(file: Contents, entry: LedgerEntry, numbers: Numbers, texts: Texts) -> Iterator[Markup]:
    """Yield where the words are that were shown, or that they are not there."""
    notice = named_notice(entry)
    if notice is None:
        return
    shown = file.words_shown(entry)
    if shown is None:
        yield element("p", texts("words_missing", notice=notice), class_="words")
        return
    number = numbers.setdefault(notice, len(numbers) + 1)
    language = texts.language_name(shown.tag)
    if not shown.is_asked:
        key = "language_unknown" if entry.provenance.language is None else "language_missing"
        language = texts(key, language=language)
    text = texts("words_shown", number=str(number), language=language)
    yield element("p", element("a", text, href=f"#words-{number}"), class_="words")


def _provenance(entry: LedgerEntry, texts: Texts) -> Iterator[Markup]:
    """Yield how it was said and who wrote it; the time of an import as the importer's claim."""
    known = entry.provenance
    facts = provenance_facts(texts.language, known)
    parts = [element("div", element("dt", name), element("dd", value)) for name, value in facts]
    yield element("dl", *parts, class_="more") if parts else element("p", texts("no_provenance"), class_="hint")
    if known.said_at is not None:
        yield element("p", texts("claimed", at=texts.time(known.said_at)), class_="claim")


def notices_section(file: Contents, texts: Texts) -> Markup:
    """Build the section with the words that were shown, each once, in each language in which they were read."""
    tags: dict[str, tuple[RegisteredNotice, dict[str, None]]] = {}
    for entry in file.entries:
        shown = file.words_shown(entry)
        if shown is not None:
            tags.setdefault(shown.notice.text.notice, (shown.notice, {}))[1][shown.tag] = None
    if not tags:
        return section(texts, "notices", element("p", texts("notices_none")))
    notices = (_notice(number, *shown, texts) for number, shown in enumerate(tags.values(), start=1))
    return section(texts, "notices", *notices)


def _notice(number: int, notice: RegisteredNotice, tags: dict[str, None], texts: Texts) -> Markup:
    heading = element("h3", f"{number}. {notice.text.notice}", id=f"words-{number}")
    facts = join([texts("registered", at=texts.time(notice.registered_at)), " · ", texts("digest"), " "])
    parts = []
    for tag in tags:
        parts.append(element("p", texts.language_name(tag), class_="language"))
        parts.append(element("blockquote", notice.text.texts[tag], lang=tag, dir="auto"))
    about = element("p", facts, element("code", notice.digest), class_="hint")
    return element("article", heading, about, *parts, class_="notice")


def proof_section(file: Contents, texts: Texts) -> Markup:
    """Build the section with positions, hashes and the head, and the command that checks the ledger against it."""
    columns = map(texts, ("number", "position", "hash", "notice_digest"))
    rows = (
        (
            head_cell(str(entry.version), class_="number"),
            cell(str(entry.position), class_="number"),
            cell(element("code", entry.hash or "")),
            cell(element("code", entry.notice_digest or "")),
        )
        for entry in file.entries
    )
    hashes = [table(texts("proof"), columns, rows)] if file.entries else []
    return section(texts, "proof", element("p", texts("proof_lead")), proof_of(file.head, texts), *hashes)

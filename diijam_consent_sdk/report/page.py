"""A report as one HTML page."""

from __future__ import annotations

from collections.abc import Iterator

from .._html import Markup, element
from ..documents.sheet import contents, head, proof_of, write_page
from ..documents.tables import section
from ..documents.texts import Texts
from ..vocabulary import Account, Language
from ..wording.numbers import month_of
from ..wording.report_headings import REPORT_HEADINGS
from .answers_section import answers_section
from .contents import Counts
from .words_section import words_section
from .work_sections import erasures_section, requests_section


def render(report: Counts, language: Language) -> str:
    """Write the page. A browser runs and fetches nothing on it, whatever the ledger holds."""
    texts = Texts(language, REPORT_HEADINGS)
    sections = dict(_sections(report, texts))
    parts = *head(texts, _facts(report, texts)), contents(texts, sections), *sections.values()
    return write_page(texts, parts, __package__)


def _facts(report: Counts, texts: Texts) -> Iterator[tuple[str, str]]:
    yield "made_at", texts.time(report.made_at)
    yield "entries", texts.number(report.entries.entries)
    yield "imported_entries", texts.number(report.entries.imported_entries)
    accounts = report.answers.accounts
    yield "customers", texts.number(sum(accounts.values()))
    for account in (Account.OPEN, Account.CLOSED, Account.ERASED, Account.UNKNOWN):
        if accounts.get(account):
            yield f"account_{account}", texts.number(accounts[account])


def _sections(report: Counts, texts: Texts) -> Iterator[tuple[str, Markup]]:
    """Yield the sections in order, each with the key of its heading."""
    now, imported = month_of(report.made_at), report.entries.imported
    yield "consents", words_section("consents", report.entries.said, now, texts)
    yield "answers", answers_section(report, texts)
    yield "requests", requests_section(report, texts)
    yield "erasures", erasures_section(report, texts)
    last = min(now, max((word.month for word in imported), default=now))
    yield "imports", words_section("imports", imported, last, texts)
    yield "source", _source(report, texts)


def _source(report: Counts, texts: Texts) -> Markup:
    return section(texts, "source", element("p", texts("source_lead")), proof_of(report.head, texts))

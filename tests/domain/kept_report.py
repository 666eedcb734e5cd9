"""
The page and the JSON of a report on a made-up ledger, as they were looked at: `python -m tests.domain.kept_report`
writes them.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from diijam_consent_sdk import events as e
from diijam_consent_sdk.events import Provenance
from diijam_consent_sdk.holders import HolderRegistry
from diijam_consent_sdk.record import fold, unopened
from diijam_consent_sdk.report import Report
from diijam_consent_sdk.vocabulary import Language, Method

from .kept_files import DAY, KEPT, LEAVING, NOBODY, SAID, START, WEB, Story, as_kept
from .reports import Person, report_of

OLD = Provenance("old-crm", Method.IMPORT, "row-10", said_at=datetime(2024, 3, 1, 2, tzinfo=UTC))
FAN: Story = (
    (-40 * DAY, e.AccountOpened(), WEB, None),
    (-40 * DAY, e.Granted("marketing", "promo", ["email", "notification"]), WEB, None),
    (-40 * DAY, e.Granted("contests", "rules"), WEB, None),
    (-3 * DAY, e.Withdrawn("marketing"), WEB, None),
    (-2 * DAY, e.Granted("surveys", "old"), OLD, None),
    (-1 * DAY, e.Granted("service_improvement", "how"), WEB, None),
    (1 * DAY, e.RequestFiled("q-1", "access"), WEB, None),
)
HELD: Story = (
    (-20 * DAY, e.AccountOpened(), NOBODY, None),
    (-18 * DAY, e.HoldPlaced("h-1", "debt", ["payment"]), NOBODY, None),
    (-18 * DAY, e.HoldPlaced("h-2", "dispute", ["payment"]), NOBODY, None),
    (-17 * DAY, e.RequestFiled("q-1", "erasure"), WEB, None),
    (-16 * DAY, e.RequestReplied("q-1"), WEB, None),
)
ERASED: Story = (
    (-30 * DAY, e.AccountOpened(), NOBODY, None),
    (-29 * DAY, e.AccountClosed(), NOBODY, None),
    (-28 * DAY, e.Erased(anonymised=True), NOBODY, None),
)
EARLY_NO: Story = ((0 * DAY, e.Withdrawn("marketing", ["call"]), WEB, None),)
CLOSED: Story = ((0 * DAY, e.AccountOpened(), NOBODY, None), (2 * DAY, e.AccountClosed(), NOBODY, None))


def people(stories: Iterable[Story]) -> Iterable[Person]:
    """Those to whom this happened."""
    for number, story in enumerate(stories, start=1):
        record, entries = unopened(f"u-{number}"), list[e.LedgerEntry]()
        for version, (after, event, provenance, _) in enumerate(story, start=1):
            entries.append(e.LedgerEntry(version, record.user_id, version, START + after, event, provenance))
            record = fold(record, entries[-1])
        yield Person(record, entries)


def kept_report() -> Report:
    """The report on a ledger of some of each kind."""
    holders = HolderRegistry({"mailer": START - 20 * DAY})
    stories = SAID, LEAVING, FAN, FAN, HELD, ERASED, EARLY_NO, CLOSED
    return report_of(people(stories), START + 14.5 * DAY, holders=holders)


def kept_reports(language: Language) -> dict[Path, str]:
    """What is kept in a language: each file and its text."""
    report = kept_report()
    return {
        KEPT / f"report-{language}.html": as_kept(report.to_html(language)),
        KEPT / "report.json": report.to_json(),
    }


if __name__ == "__main__":
    for path, text in {**kept_reports("vi"), **kept_reports("en")}.items():
        path.write_text(text, encoding="utf-8")

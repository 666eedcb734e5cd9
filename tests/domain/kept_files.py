"""
The pages and the JSON of made-up customers, as they were looked at: `python -m tests.domain.kept_files` writes them.

They hold each word and each element of a file, so that a change is seen in a diff and read before it is kept.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

from diijam_consent_sdk import events as e
from diijam_consent_sdk.customer_file import CustomerFile
from diijam_consent_sdk.notices import NoticeText, RegisteredNotice
from diijam_consent_sdk.provenance import Provenance
from diijam_consent_sdk.record import fold, unopened
from diijam_consent_sdk.vocabulary import Language, Method

KEPT = Path(__file__).parent / "kept"
START = datetime(2026, 3, 2, 17, 30, 5, tzinfo=UTC)  # already 3 March in Vietnam
STYLE = re.compile(r"<meta http-equiv[^>]*>|<style>.*?</style>", re.DOTALL)  # its hash, and itself
DAY = timedelta(days=1)
PROMO = NoticeText(
    "promo", {"vi": "Nhận ưu đãi qua email?", "en": "Offers by email?", "fr": "Des offres ?"}, {"marketing"}
)
SHARING = NoticeText("n-1", {"vi": "Chia sẻ?"}, {"marketing"}, {"username"}, "acme-records")
WEB = Provenance("web-shop", Method.WEB, "form-7", "vi")
CALL = Provenance("hotline", Method.CALL, "recording-1", "fr-CA")
NOBODY = Provenance()
IMPORTED = Provenance("old-crm", Method.IMPORT, "row-9", said_at=datetime(2024, 5, 1, 2, tzinfo=UTC))
Story = tuple[tuple[timedelta, e.Event, Provenance, NoticeText | None], ...]
SAID: Story = (
    (0 * DAY, e.AccountOpened("google"), WEB, None),
    (0 * DAY, e.Granted("marketing", "promo", ["email"]), WEB, PROMO),
    (1 * DAY, e.Granted("marketing", "promo", ["message"], expires_at=START + 90 * DAY), CALL, PROMO),
    (1 * DAY, e.Granted("contests", "promo"), NOBODY, PROMO),
    (2 * DAY, e.Granted("surveys", "old"), IMPORTED, None),
    (2 * DAY, e.Withdrawn("marketing", ["call"]), WEB, None),
    (3 * DAY, e.Objected("technology_development"), CALL, None),
    (3 * DAY, e.Restricted(["location"]), NOBODY, None),
    (4 * DAY, e.Published("avatar"), WEB, None),
    (4 * DAY, e.Notified("n-1", "acme-records", ["username"], "marketing"), WEB, SHARING),
    (5 * DAY, e.Agreed("n-1", expires_at=START + 200 * DAY), WEB, SHARING),
    (6 * DAY, e.RequestFiled("q-1", "access", processor=True, received_at=START), CALL, None),
    (7 * DAY, e.RequestReplied("q-1"), WEB, None),
    (7 * DAY, e.RequestExtended("q-1", "label-answers-late"), WEB, None),
    (8 * DAY, e.RequestFiled("q-2", "rectification"), WEB, None),
    (8 * DAY, e.RequestResolved("q-2", "refused", "not-yours"), WEB, None),
    (9 * DAY, e.RequestFiled("q-3", "complaint"), WEB, None),
    (13 * DAY, e.RequestFiled("q-4", "erasure"), WEB, None),
    (14 * DAY, e.HoldPlaced("h-1", "debt", ["payment"]), NOBODY, None),
    (14 * DAY, e.HoldPlaced("h-2", "tax", ["payment", "address"], until=START + 400 * DAY), NOBODY, None),
    (14 * DAY, e.HoldPlaced("h-3", "audit", ["email"]), NOBODY, None),
    (14 * DAY, e.HoldReleased("h-3"), NOBODY, None),
    (14 * DAY, e.RequestResolved("q-4", "cancelled"), WEB, None),
)

LEAVING: Story = (
    (0 * DAY, e.AccountOpened(), NOBODY, None),
    (1 * DAY, e.Restricted(), WEB, None),
    (2 * DAY, e.RequestFiled("q-1", "erasure"), WEB, None),
)
TOMBSTONE: Story = ((10 * DAY, e.Erased(), NOBODY, None),)


def kept_file(language: Language, story: Story = SAID) -> CustomerFile:
    """The file of a customer who said this, in a language."""
    record, entries = unopened("u-1"), list[e.LedgerEntry]()
    for number, (after, event, provenance, notice) in enumerate(story, start=1):
        digest = None if notice is None else notice.digest
        entry = e.LedgerEntry(100 + number, "u-1", number, START + after, event, provenance, digest, f"{number:064x}")
        record = fold(record, entry)
        entries.append(entry)
    notices = {
        notice.notice: RegisteredNotice(notice, notice.digest, START - DAY, "editor") for notice in (PROMO, SHARING)
    }
    return CustomerFile(language, START + 14.5 * DAY, "epoch.200.beef", record, entries, notices)


def kept(language: Language) -> dict[Path, str]:
    """What is kept in a language: each file and its text, of the page an element a line and no style."""
    file = kept_file(language)
    return {
        KEPT / f"customer-{language}.html": as_kept(file.to_html()),
        KEPT / f"customer-{language}.json": file.to_json(),
        **{
            KEPT / f"{name}-{language}.html": as_kept(kept_file(language, story).to_html())
            for name, story in (("leaving", LEAVING), ("unknown", ()), ("erased", TOMBSTONE))
        },
    }


def as_kept(page: str) -> str:
    """A page with an element a line and no style."""
    return STYLE.sub("", page).replace("><", ">\n<") + "\n"


if __name__ == "__main__":
    KEPT.mkdir(exist_ok=True)
    for path, text in {**kept("vi"), **kept("en")}.items():
        path.write_text(text, encoding="utf-8")

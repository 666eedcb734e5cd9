"""
Marketing: who may be sent a promotion, and why the others may not.

    python examples/campaign.py --url sqlite:///consents.db [--channel message] [--audience FILE] [--lang en]
        [--one-says-no]

Exit code 0: everybody on the list was asked about. 1: some have to be asked again, since the store could not answer or
the channel's hours were over; they are sent nothing, so run it again. It stops asking at the first that gets no answer:
each of the others might wait as long in vain. 2: it could not start.
"""

from __future__ import annotations

import argparse
import csv
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from diijam_consent_sdk import Channel, ConsentClient, Decision, Field, Market, Purpose
from diijam_consent_sdk.decisions import UNANSWERED
from diijam_consent_sdk.errors import ConsentError
from diijam_consent_sdk.events import Withdrawn
from diijam_consent_sdk.policy import sending_window
from diijam_consent_sdk.vocabulary import Language

AUDIENCE = Path(__file__).parent / "data" / "audience.csv"
DATA = {Field.FULL_NAME}  # the promotion greets its reader by name, so the ask says so
MAIL = Market(Channel.EMAIL, data=DATA)

Row = Mapping[str, str]


@dataclass
class Report:
    """What became of each row of the list."""

    ask: Market
    mailed: list[Row] = field(default_factory=list)
    denied: Counter[Decision] = field(default_factory=Counter)
    repeated: int = 0
    malformed: int = 0
    not_asked: int = 0
    waiting: int = 0
    opens_at: datetime | None = None

    def is_answered(self) -> bool:
        """Whether every no is a customer's: with a reason of `UNANSWERED` nobody was asked."""
        return not any(decision.reason in UNANSWERED for decision in self.denied)

    def is_complete(self) -> bool:
        """Whether everybody got an answer, and nobody waits."""
        return self.is_answered() and not self.waiting


def now() -> datetime:
    """Read the clock."""
    return datetime.now(UTC)


def send(
    consent: ConsentClient,
    audience: Iterable[tuple[str, Row]],
    ask: Market = MAIL,
    clock: Callable[[], datetime] = now,
) -> Report:
    """Send to each customer who may be sent to, once, within the channel's hours."""
    report, seen = Report(ask), set[str]()
    for user_id, row in audience:
        if not report.is_answered():
            report.not_asked += 1
            continue
        window = sending_window(ask.channel, clock())
        if not window.open:  # the answer may be another then, so it is asked again
            report.waiting, report.opens_at = report.waiting + 1, window.opens_at
            continue
        if user_id in seen:
            report.repeated += 1
            continue
        try:
            decision = consent.decide(user_id, ask)  # right before sending: an older answer lacks later withdrawals
        except ValueError:  # no id at all: count it and go on. It may be a name or an address, so it goes into no log.
            report.malformed += 1
            continue
        seen.add(user_id)
        if decision:
            report.mailed.append(row)  # here it would go out, with `window.label` in front
        else:
            report.denied[decision] += 1
    return report


def show(report: Report, lang: Language) -> None:
    """Print how many were mailed, and why the others were not."""
    print(f"{len(report.mailed):6,}  may be sent to       the ask: {report.ask.channel} and full name")
    for decision, count in report.denied.most_common():
        print(f"{count:6,}  {decision.reason:<18} clause {decision.clause}  {decision.message(lang)}")
    print(f"{report.repeated:6,}  listed again         one mail is enough")
    print(f"{report.malformed:6,}  malformed ids        back to whoever made the list")
    if report.not_asked:
        print(f"{report.not_asked:6,}  not asked            there was no answer: run it again")
    if report.opens_at:
        print(f"{report.waiting:6,}  wait for the hours   run it again from {report.opens_at:%d/%m/%Y %H:%M} on")


def say_no(consent: ConsentClient, row: Row, ask: Market, lang: Language) -> None:
    """One customer opts out of marketing over the channel: print the answer before and after, and the proof of both."""
    before = consent.explain(row["user_id"], ask)
    print(f"\n{row.get('full_name', 'A customer')}: {before.decision.message(lang)}")
    consent.record(row["user_id"], Withdrawn(Purpose.MARKETING, channels={ask.channel}))
    print('  clicks "no more of this": Withdrawn is in the ledger')
    decision = consent.decide(row["user_id"], ask)
    print(f"  the very next ask: {'yes' if decision else 'no'}, {decision.reason}: {decision.message(lang)}")
    entries = consent.history(row["user_id"])
    yes = next(entry for entry in entries if entry.version == before.entry_version)
    words = f"words with the digest {yes.notice_digest[:12]}…" if yes.notice_digest else "words that are not registered"
    print(f"  the proof: entry {yes.position} is the yes, to {words}; entry {entries[-1].position} is the no")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the campaign; see the exit codes above."""
    parser = argparse.ArgumentParser(description="Who may be sent a promotion, and why the others may not.")
    parser.add_argument("--url", help="default: DIIJAM_CONSENT_URL")
    parser.add_argument("--channel", choices=tuple(Channel), default=Channel.EMAIL, help="of the promotion")
    parser.add_argument("--audience", type=Path, default=AUDIENCE, help="a CSV file with a column user_id")
    parser.add_argument("--lang", choices=("vi", "en"), default="vi", help="of the messages")
    parser.add_argument("--one-says-no", action="store_true", help="then opt one customer out: WRITES to the ledger")
    given = parser.parse_args(argv)
    try:
        with given.audience.open(encoding="utf-8-sig", newline="") as file:  # "-sig": spreadsheets put a mark in front
            audience = [(row["user_id"], row) for row in csv.DictReader(file, restval="")]
        token = os.environ.get("DIIJAM_CONSENT_TOKEN")
        consent = ConsentClient.from_url(given.url, token=token) if given.url else ConsentClient.from_env()
    except KeyError:
        parser.error("the list has no column user_id")
    except (OSError, ValueError, ConsentError) as error:
        parser.error(str(error))
    with consent:
        report = send(consent, audience, Market(given.channel, data=DATA))
        print(f"{len(audience):6,}  rows in the audience")
        show(report, given.lang)
        if given.one_says_no and report.mailed:
            try:
                say_no(consent, report.mailed[0], report.ask, given.lang)
            except ConsentError as error:
                print(f"{type(error).__name__}: {error}", file=sys.stderr)
                return 1
    return 0 if report.is_complete() else 1


if __name__ == "__main__":
    try:
        status = main()
        sys.stdout.flush()
    except BrokenPipeError:  # nobody reads on, as with `| head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = 141
    raise SystemExit(status)

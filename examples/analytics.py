"""
Analytics: a job that reads the listening history only of those who consented, and looks for fraud where it may.

    python examples/analytics.py --url sqlite:///consents.db [--users FILE] [--lang en]

Exit code 0: everybody was asked about. 1: the store could not answer for some; their data was left alone, run it again.
2: it could not start.
"""

from __future__ import annotations

import argparse
import csv
import os
import sys
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from statistics import median

from diijam_consent_sdk import ConsentClient, Decision, Field, Process, Purpose, UserConsent
from diijam_consent_sdk.decisions import UNANSWERED
from diijam_consent_sdk.errors import ConsentError
from diijam_consent_sdk.vocabulary import Language

USERS = Path(__file__).parent / "data" / "audience.csv"
STUDY = Process(Purpose.SERVICE_IMPROVEMENT, data={Field.LISTENING_HISTORY})  # named: None would ask for all data
FRAUD = Process(Purpose.FRAUD_DETECTION, data={Field.PAYMENT, Field.DEVICE})
BATCH = 100


def users(consent: ConsentClient, user_ids: Iterable[str]) -> Iterator[UserConsent]:
    """The users in batches, each loaded in one go. A malformed id costs its batch the speed and nobody an answer."""
    remaining = iter(user_ids)
    while batch := list(islice(remaining, BATCH)):
        try:
            yield from list(consent.users(batch))
        except ValueError:
            for user_id in batch:
                try:
                    user = consent.user(user_id)
                except ValueError:  # no id at all: left out
                    continue
                yield user


def minutes_listened(user_id: str) -> int:
    """Stands for your warehouse: listening history, so it is read only after a yes. Made up from the id."""
    return 5 + zlib.crc32(user_id.encode()) % 175


def show(title: str, decisions: Counter[Decision], lang: Language) -> None:
    """Print how many may, and why or why not."""
    allowed = sum(count for decision, count in decisions.items() if decision.allowed)
    print(f"\n{title}: {allowed:,} of {decisions.total():,}")
    for decision, count in sorted(decisions.items(), key=lambda item: (not item[0], -item[1], item[0].reason)):
        print(f"{count:6,}  {'yes' if decision else 'no ':<3}  {decision.reason:<18}  {decision.message(lang)}")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the job; see the exit codes above."""
    parser = argparse.ArgumentParser(
        description="Study listening habits, and look for fraud, where the customers allow it."
    )
    parser.add_argument("--url", help="default: DIIJAM_CONSENT_URL")
    parser.add_argument("--users", type=Path, default=USERS, help="a CSV file with a column user_id")
    parser.add_argument("--lang", choices=("vi", "en"), default="vi", help="of the messages")
    given = parser.parse_args(argv)
    try:
        with given.users.open(encoding="utf-8-sig", newline="") as file:
            user_ids = list(dict.fromkeys(row["user_id"] for row in csv.DictReader(file, restval="")))
        token = os.environ.get("DIIJAM_CONSENT_TOKEN")
        consent = ConsentClient.from_url(given.url, token=token) if given.url else ConsentClient.from_env()
    except KeyError:
        parser.error("the list has no column user_id")
    except (OSError, ValueError, ConsentError) as error:
        parser.error(str(error))

    studied, fraud, minutes = Counter[Decision](), Counter[Decision](), list[int]()
    with consent:
        for user in users(consent, user_ids):
            decision = user.decide(STUDY)
            studied[decision] += 1
            if decision:
                minutes.append(minutes_listened(user.user_id))
            else:  # no study; but the service may still guard itself against fraud, if nothing forbids that too
                fraud[user.decide(FRAUD)] += 1

    show("Listening history may be studied", studied, given.lang)
    print(f"        median: {median(minutes or [0]):.0f} minutes a day, of those who consented and of nobody else")
    show("Of the others, fraud may be looked for", fraud, given.lang)
    print(f"\n{len(user_ids) - studied.total():,} malformed ids left out")
    unanswered = sum(n for decision, n in studied.items() if decision.reason in UNANSWERED)
    return 1 if unanswered else 0


if __name__ == "__main__":
    try:
        status = main()
        sys.stdout.flush()
    except BrokenPipeError:  # nobody reads on, as with `| head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = 141
    raise SystemExit(status)

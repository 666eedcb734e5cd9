"""Make JSON Lines for `diijam-consent record --file` of a shop's customers, from CSV on standard input."""

import csv
import json
import sys
from collections import Counter
from datetime import datetime, time, timedelta, timezone

HANOI = timezone(timedelta(hours=7))  # of times without a zone
OPENED = {"type": "AccountOpened"}
NO: dict[str, object] = {"type": "Withdrawn", "purpose": "marketing", "channels": ["email"]}
undated: Counter[object] = Counter()
for row in csv.DictReader(line.lstrip("\ufeff") for line in sys.stdin):
    yes = {"type": "Granted", "purpose": "marketing", "notice": row["notice"], "channels": ["email"]}
    said: list[tuple[str, dict[str, object]]] = [(row["created_at"] or row["opted_in_at"], {**OPENED})]
    said += [(row["opted_in_at"], yes)] if row["opted_in"] == "yes" else []
    said += [(row["unsubscribed_at"], NO)] if row["unsubscribed"] not in ("no", "") or row["unsubscribed_at"] else []
    dated = [(datetime.fromisoformat(at), event) for at, event in said if at]
    dated = [(at if at.tzinfo else at.replace(tzinfo=HANOI), event) for at, event in dated]
    # The account first, then each word in its turn; a no with a day and no hour comes after all of that day.
    dated.sort(key=lambda w: (w[1] != OPENED, w[0] + timedelta(days=w[1] is NO and w[0].time() == time.min)))
    lines = [(event, {"method": "import", "said_at": at.isoformat()}) for at, event in dated]
    if any(event is NO for at, event in said if not at):
        lines.append((NO, {"method": "system"}))  # a no is never left out: without a date it counts from today
    undated.update(event["type"] for at, event in said if not at)
    for event, provenance in lines:
        evidence = {"evidence": row["source"]} if event is yes and row["source"] else {}
        print(json.dumps({"user_id": row["customer"], "event": event, "provenance": provenance | evidence}))
print(f"without a date: {undated['Granted']} opt-ins and {undated['AccountOpened']} accounts, left out;"
      f" {undated['Withdrawn']} unsubscribes, counted from today", file=sys.stderr)  # fmt: skip

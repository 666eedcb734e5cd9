"""Make JSON Lines for `diijam-consent record --file` of a shop's customers, from CSV on standard input."""

import csv
import io
import json
import sys
from collections import Counter
from datetime import datetime, time, timedelta, timezone

HANOI = timezone(timedelta(hours=7))  # of times without a zone
OPENED = {"type": "AccountOpened"}
NO: dict[str, object] = {"type": "Withdrawn", "purpose": "marketing", "channels": ["email"]}
COLUMNS = ["customer", "created_at", "opted_in", "opted_in_at", "source", "notice", "unsubscribed", "unsubscribed_at"]
undated: Counter[object] = Counter()
made: list[str] = []
try:
    text = io.StringIO(sys.stdin.buffer.read().decode(), newline="")
    rows = csv.DictReader(line.lstrip("\ufeff") for line in text)
    is_known = {*COLUMNS} <= {*(rows.fieldnames or ())}
except (UnicodeDecodeError, csv.Error):
    is_known = False
if not is_known:
    sys.exit(f"this is no CSV in UTF-8, with commas and the columns {', '.join(COLUMNS)}: save the sheet as CSV UTF-8")
for row in rows:
    yes = {"type": "Granted", "purpose": "marketing", "notice": row["notice"], "channels": ["email"]}
    said: list[tuple[str, dict[str, object]]] = [(row["created_at"] or row["opted_in_at"], {**OPENED})]
    said += [(row["opted_in_at"], yes)] if row["opted_in"] == "yes" else []
    said += [(row["unsubscribed_at"], NO)] if row["unsubscribed"] not in ("no", "") or row["unsubscribed_at"] else []
    try:
        dated = [(datetime.fromisoformat(at), event) for at, event in said if at]
    except ValueError:
        sys.exit(f"line {rows.line_num} has a time that is not like 2023-03-08 or 2023-03-08T09:12:00+07:00")
    dated = [(at if at.tzinfo else at.replace(tzinfo=HANOI), event) for at, event in dated]
    # The account first, then each word in its turn; a no with a day and no hour comes after all of that day.
    dated.sort(key=lambda w: (w[1] != OPENED, w[0] + timedelta(days=w[1] is NO and w[0].time() == time.min)))
    lines = [(event, {"method": "import", "said_at": at.isoformat()}) for at, event in dated]
    if any(event is NO for at, event in said if not at):
        lines.append((NO, {"method": "system"}))  # a no is never left out: without a date it counts from today
    undated.update(event["type"] for at, event in said if not at)
    for event, provenance in lines:
        evidence = {"evidence": row["source"]} if event is yes and row["source"] else {}
        made.append(json.dumps({"user_id": row["customer"], "event": event, "provenance": provenance | evidence}))
sys.stdout.writelines(line + "\n" for line in made)  # nothing of a CSV with an error: the rest may hold the noes
print(f"without a date: {undated['Granted']} opt-ins and {undated['AccountOpened']} accounts, left out;"
      f" {undated['Withdrawn']} unsubscribes, counted from today", file=sys.stderr)  # fmt: skip

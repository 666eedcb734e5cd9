"""`diijam-consent ping`: is the store there, does it take the token, and how does its clock stand to this one's?"""

from __future__ import annotations

import json
import statistics
import time
from datetime import UTC, datetime
from typing import Annotated
from urllib.parse import urlsplit

import attrs
from cyclopts import Parameter

from ...errors import ConsentError
from ...stores.protocol import Store
from ...stores.url import is_http
from ..console import say, tell
from ..store import FILE_SCHEME, Url, named, opened

DEADLINE_SECONDS = 3.0  # for one load: who asks whether a store is there wants to know soon
LOADS = 5  # of which the time is the median; another comes first, which connects
FAR_APART_SECONDS = 2.0

EXAMPLES = """\
Examples:
  diijam-consent ping
  diijam-consent ping --url https://consent.example
  diijam-consent ping --json | jq .load_seconds
  diijam-consent ping > /dev/null && ./start-the-campaign
"""


@attrs.frozen(kw_only=True)
class Pong:
    """
    What a store answered.

    Attributes:
        position: Of the ledger's last entry.

        connect_seconds: The time of the first load, which connects.

        load_seconds: The time of a load after that: the median of some.

        clock_seconds: How far the store's clock is ahead of this machine's, in the best of the loads.

        clock_precision_seconds: How far off that may be.
    """

    position: int
    connect_seconds: float
    load_seconds: float
    clock_seconds: float
    clock_precision_seconds: float


def ping(
    *,
    as_json: Annotated[
        bool, Parameter(name="--json", help="One JSON object, for machines; also of a failure.")
    ] = False,
    url: Url = None,
) -> int:
    """
    Reach the store, as a service of yours would, and say what is wrong if that fails: the name, the port, the path, the
    certificate, the token, the database.

    Tells how long a load takes, and how far the store's clock is ahead of this machine's. No user is asked for, and
    nothing is written.

    Exit status: 0 the store answers, 2 it does not.

    Returns:
        The exit status.

    Raises:
        StoreError: the store does not answer, or not with this token.

        ValueError, OSError: the URL names no store, or a file that is needed cannot be read.
    """
    place = named(url)
    try:
        with opened(place, deadline=DEADLINE_SECONDS) as store:
            pong = _ping(store)
    except (ConsentError, ValueError, OSError) as error:
        if as_json:
            say(json.dumps({"ok": False, "error": str(error)}, ensure_ascii=False))
        raise
    if as_json:
        fields = {name: round(value, 6) for name, value in attrs.asdict(pong).items()}
        say(json.dumps({"ok": True, "store": _shown(place), **fields}, ensure_ascii=False))
    else:
        say(*_sheet(place, pong))
    if abs(pong.clock_seconds) > max(FAR_APART_SECONDS, pong.clock_precision_seconds):
        tell("note: the clocks are far apart: a consent ends by the store's; see that both machines set theirs (NTP)")
    return 0


def _ping(store: Store) -> Pong:
    seconds: list[float] = []
    clocks: list[tuple[float, float]] = []
    for _ in range(1 + LOADS):
        sent, began = datetime.now(UTC), time.perf_counter()
        loaded = store.load(())
        took = time.perf_counter() - began
        seconds.append(took)
        # It looked at its clock at some time in between: half of that is how wrong this can be.
        clocks.append((took / 2, (loaded.at - sent).total_seconds() - took / 2))
    precision, ahead = min(clocks)
    return Pong(
        position=loaded.cursor.position,
        connect_seconds=seconds[0],
        load_seconds=statistics.median(seconds[1:]),
        clock_seconds=ahead,
        clock_precision_seconds=precision,
    )


def _sheet(url: str, pong: Pong) -> list[str]:
    direction = "ahead of" if pong.clock_seconds >= 0 else "behind"
    precision = f"give or take {pong.clock_precision_seconds * 1000:.1f} ms"
    return [
        f"store     {_shown(url)}",
        "reached   yes",
        f"token     {'accepted' if is_http(url) else 'none needed'}",
        f"ledger    {pong.position:,} entries",
        f"load      {pong.load_seconds * 1000:.1f} ms; the first, which connects, {pong.connect_seconds * 1000:.1f} ms",
        f"clock     {abs(pong.clock_seconds):.3f} s {direction} this machine's, {precision}",
    ]


def _shown(url: str) -> str:
    """Where the store is, without user, password and options."""
    if url.startswith(FILE_SCHEME):
        return url
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"

"""
`diijam-consent ping`: reach the store, and measure how quickly it answers and how far its clock is off.

Name, port, certificate, token and database can each be wrong, and this tells which before a service starts.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlsplit

import attrs
from cyclopts import Parameter

from ...errors import ConsentError
from ...stores.answers import Loaded, Standings
from ...stores.protocol import Store
from ...stores.token_messages import OwnToken
from ...stores.url import is_http
from ..console import print_result, print_status
from ..store import FILE_SCHEME, Url, open_store, require_url

if TYPE_CHECKING:
    from ...stores.http.store import HttpStore

DEADLINE_SECONDS = 3.0  # for one load
LOADS = 5  # whose median is shown; another call comes first, which connects
FAR_APART_SECONDS = 2.0

EXAMPLES = """\
Examples:
  diijam-consent ping
  diijam-consent ping --url https://consent.example
  diijam-consent ping --json | jq .load_seconds
  diijam-consent ping > /dev/null && ./start-the-campaign
"""


@attrs.frozen(kw_only=True)
class PingResult:
    """
    What was measured of a store.

    Attributes:
        position: The position of the ledger's last entry; None if the token may neither ask nor read.

        connect_seconds: The time of the first call, which connects.

        load_seconds: The median time of the loads after it; of questions about the token if it may do nothing else.

        clock_seconds: How far the store's clock is ahead of this machine's, by the quickest load.

        clock_precision_seconds: How far off `clock_seconds` may be.
    """

    position: int | None
    connect_seconds: float
    load_seconds: float
    clock_seconds: float
    clock_precision_seconds: float


Call = Callable[[], Standings | Loaded | OwnToken]

Json = Annotated[bool, Parameter(name="--json", help="One JSON object, for machines; also of a failure.")]


def ping(*, as_json: Json = False, url: Url = None) -> int:
    """
    Reach the store as a service of yours would, and name what is wrong if that fails.

    That is the host's name, the port, the path, the certificate, the token or the database. If it answers, ping prints
    how long a load takes, and how far the store's clock is ahead of this machine's. No user is asked for, and
    nothing is written.

    Exit status: 0 the store answers, 2 it does not.

    Returns:
        The exit status.

    Raises:
        StoreError: the store does not answer, or not with this token.

        ValueError, OSError: the URL names no store, or a file that is needed cannot be read.
    """
    address = require_url(url)
    try:
        with open_store(address, deadline=DEADLINE_SECONDS) as store:
            result, own = _measure(store, _as_service(address, store))
    except (ConsentError, ValueError, OSError) as error:
        if as_json:
            print_result(json.dumps({"ok": False, "error": str(error)}, ensure_ascii=False))
        raise
    if as_json:
        fields: dict[str, object] = {
            name: None if value is None else round(value, 6) for name, value in attrs.asdict(result).items()
        }
        fields |= {} if own is None else {"token": {"name": own.name, "scopes": own.scopes, "expires_at": _end(own)}}
        print_result(json.dumps({"ok": True, "store": _without_secrets(address), **fields}, ensure_ascii=False))
    else:
        print_result(*_to_lines(address, result, own))
    if abs(result.clock_seconds) > max(FAR_APART_SECONDS, result.clock_precision_seconds):
        print_status(
            "note: the clocks are far apart: a consent ends by the store's; see that both machines set theirs (NTP)"
        )
    return 0


def _measure(store: Store, service: HttpStore | None) -> tuple[PingResult, OwnToken | None]:
    """Ask a service about the token first, so that it refuses nothing, which it would count; then measure."""
    began = time.perf_counter()
    own = None if service is None else service.own_token()
    if service is None:
        store.standings(())
    connect_seconds = time.perf_counter() - began
    return _measure_loads(_choose_call(store, service, own), connect_seconds), own


def _choose_call(store: Store, service: HttpStore | None, own: OwnToken | None) -> Call:
    """Ask for the head as guards do, or as who reads records does; a token that may do neither asks about itself."""
    if service is None or own is None or any(scope.startswith("ask") for scope in own.scopes):
        return partial(store.standings, ())
    return partial(store.load, ()) if "read" in own.scopes else service.own_token


def _measure_loads(call: Call, connect_seconds: float) -> PingResult:
    seconds: list[float] = []
    clocks: list[tuple[float, float]] = []
    for _ in range(LOADS):
        sent, began = datetime.now(UTC), time.perf_counter()
        answer = call()
        took = time.perf_counter() - began
        seconds.append(took)
        # The store read its clock at some time during the load, so half of its duration is the greatest error.
        clocks.append((took / 2, (answer.at - sent).total_seconds() - took / 2))
    precision, ahead = min(clocks)
    return PingResult(
        position=None if isinstance(answer, OwnToken) else answer.cursor.position,
        connect_seconds=connect_seconds,
        load_seconds=statistics.median(seconds),
        clock_seconds=ahead,
        clock_precision_seconds=precision,
    )


def _to_lines(url: str, result: PingResult, own: OwnToken | None) -> list[str]:
    direction = "ahead of" if result.clock_seconds >= 0 else "behind"
    load, connect, precision = (
        f"{1000 * seconds:.1f} ms"
        for seconds in (result.load_seconds, result.connect_seconds, result.clock_precision_seconds)
    )
    return [
        f"store     {_without_secrets(url)}",
        "reached   yes",
        f"token     {_describe(own) if own is not None else 'none needed'}",
        f"ledger    {_describe_position(result)}",
        f"load      {load}; the first call, which connects, {connect}",
        f"clock     {abs(result.clock_seconds):.3f} s {direction} this machine's, give or take {precision}",
    ]


def _describe_position(result: PingResult) -> str:
    return "not shown to this token" if result.position is None else f"{result.position:,} entries"


def _as_service(url: str, store: Store) -> HttpStore | None:
    """Return the client of a service; None of another store, which needs no token."""
    if not is_http(url):
        return None
    from ...stores.http.store import HttpStore  # noqa: PLC0415 - httpx is slow to import

    return store if isinstance(store, HttpStore) else None


def _describe(own: OwnToken) -> str:
    return f"{own.name}, may {', '.join(own.scopes)}; ends {_end(own) or 'never'}"


def _end(own: OwnToken) -> str | None:
    return None if own.expires_at is None else own.expires_at.isoformat()


def _without_secrets(url: str) -> str:
    """Return the URL of a store without user, password and options."""
    if url.startswith(FILE_SCHEME):
        return url
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"

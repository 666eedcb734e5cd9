"""
`diijam-consent entries`: print the ledger in order, as JSON Lines.

It feeds other systems, each entry at least once: each line has the token to go on from.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from typing import Annotated

from cyclopts import Parameter

from ...client import ConsentClient
from ...client.watch import OTHER_HISTORY
from ...errors import HistoryChanged, StoreUnavailable
from ...stores import wire
from ...stores._retry import backoff
from ...stores.answers import Cursor, Entries
from ..console import print_json, print_status
from ..options import check_token
from ..store import Url, make_client, open_store

EXAMPLES = """\
Examples:
  diijam-consent entries > ledger.jsonl
  diijam-consent entries --after "$(tail -n 1 ledger.jsonl | jq -r .token)" \\
      >> ledger.jsonl
  diijam-consent entries --follow | jq -c .event
"""

WAIT_SECONDS = 30.0
MIN_PAUSE_SECONDS, MAX_PAUSE_SECONDS = 0.1, 5.0


def entries(
    *,
    after: Annotated[str | None, Parameter(help="The token of the last line that was taken in.")] = None,
    follow: Annotated[bool, Parameter(help="Go on with new entries, until Ctrl-C, through outages too.")] = False,
    url: Url = None,
) -> int:
    """
    Print the ledger in order, oldest first, one JSON object a line. Entries that an erasure blanked are left out;
    the Erased of the same customer follows.

    Keep the token of the last line that you took in: --after goes on behind it, so that no entry is missed. A token
    of another history (an older copy was restored) is refused: empty what you keep, and begin again without it.

    Exit status: 0; 2 the ledger could not be read, or the token is of another history.

    Returns:
        The exit status.

    Raises:
        ConsentError: the ledger could not be read, or the token is of another history.

        ValueError: the token is malformed.
    """
    if after is not None:
        check_token("--after", after)
    with open_store(url) as store, make_client(store) as client:
        for page in _pages(client, after, follow=follow):
            for entry in page.entries:
                token = str(Cursor(page.cursor.epoch, entry.position, entry.hash or ""))
                print_json(wire.encode_entry(entry, token=token))
            sys.stdout.flush()  # a reader may wait for it
    return 0


def _pages(client: ConsentClient, after: str | None, *, follow: bool) -> Iterator[Entries]:
    """Yield the pages to the ledger's end, or for ever, with pauses while the store does not answer."""
    failures = 0
    while True:
        try:
            page = client.entries(after, wait=WAIT_SECONDS if follow else 0.0)
        except HistoryChanged:
            raise HistoryChanged(f"{OTHER_HISTORY}; empty what you keep, and begin again without --after") from None
        except StoreUnavailable as error:
            if not follow:
                raise
            if not failures:
                print_status(f"waiting for the store: {error}")
            time.sleep(backoff(failures, longest=MAX_PAUSE_SECONDS, least=MIN_PAUSE_SECONDS))
            failures += 1
            continue
        yield page
        if page.complete and not follow:
            return
        failures, after = 0, page.token

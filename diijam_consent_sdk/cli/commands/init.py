"""
`diijam-consent init`: make the tables of a ledger, or bring them up to date.

A PostgreSQL role that serves should not be allowed to change tables, so this is a command for the role that may.
"""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from ...stores.url import is_http, is_postgres, prepare_postgres
from ..console import print_result
from ..store import DatabaseUrl, open_store, require_url

EXAMPLES = """\
Examples:
  diijam-consent init \\
      --url "postgresql://consent@db.example/consent?sslmode=verify-full"
  diijam-consent init --url sqlite:///consents.db --require-notices
"""


RequireNotices = Annotated[
    bool,
    Parameter(help="For good: consents and sharings have to name a registered notice, or are refused."),
]


def init(*, require_notices: RequireNotices = False, url: DatabaseUrl = None) -> int:
    """
    Make the tables of a ledger, or bring those of an older version up to date. Run again, it changes nothing.

    In PostgreSQL the database must be there already; the role must be allowed to create a schema in it. Several may
    run this at once. A SQLite file of an older version is refused, and the error tells how to move the ledger.

    Exit status: 0 the ledger is ready, 2 it is not.

    Returns:
        The exit status.

    Raises:
        StoreError: the database cannot be reached, or holds something else.

        ValueError: this URL names nothing that could be prepared.

        ImportError: PostgreSQL's extra is not installed.
    """
    place = require_url(url)
    if is_http(place):
        raise ValueError("a consent service prepares its own ledger: run init where its database is")
    if is_postgres(place):
        prepare_postgres(place)
    else:
        with open_store(place, create=True):
            pass
    if require_notices:
        with open_store(place) as store:
            store.require_notices()
    print_result("the ledger is ready" + ", and requires notices" * require_notices)
    return 0

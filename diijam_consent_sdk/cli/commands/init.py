"""`diijam-consent init`: a place for a ledger."""

from __future__ import annotations

from ...stores.url import is_http, is_postgres, prepare_postgres
from ..console import say
from ..store import Url, named, opened

EXAMPLES = """\
Examples:
  diijam-consent init --url "postgresql://consent@db.example/consent?sslmode=verify-full"
  diijam-consent init --url sqlite:///consents.db
"""


def init(*, url: Url = None) -> int:
    """
    Make the tables of a ledger, or bring those of an older version up to date. Run again, it changes nothing.

    In PostgreSQL the database must be there already; the role must be allowed to create a schema in it. Several may
    run this at once.

    Exit status: 0 the ledger is ready, 2 it is not.

    Returns:
        The exit status.

    Raises:
        StoreError: the database cannot be reached, or holds something else.

        ValueError: this URL names nothing that could be prepared.

        ImportError: PostgreSQL's extra is not installed.
    """
    place = named(url)
    if is_http(place):
        raise ValueError("a consent service prepares its own ledger: run init where its database is")
    if is_postgres(place):
        prepare_postgres(place)
    else:
        with opened(place, create=True):
            pass
    say("the ledger is ready")
    return 0

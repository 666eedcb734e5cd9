"""`diijam-consent copy`: a ledger moves to another home."""

from __future__ import annotations

from typing import Annotated, cast

from cyclopts import Parameter

from ...errors import StoreUnusable
from ...stores.protocol import Cursor
from ...stores.sql.verify import Home
from ...stores.sql.verify import copy as copy_ledger
from ...stores.url import is_http
from ..console import progress, say
from ..store import opened

EXAMPLES = """\
Examples:
  diijam-consent copy --from sqlite:///consents.db \\
      --to "postgresql://consent@db.example/consent?sslmode=verify-full"

Before, the tables are made; afterwards, the copy proves itself:
  diijam-consent init --url "postgresql://consent@db.example/consent?sslmode=verify-full"
  diijam-consent verify --url "postgresql://consent@db.example/consent?sslmode=verify-full"
"""


def copy(
    *,
    source: Annotated[str, Parameter(name="--from", help="Where the ledger is: sqlite:///… or postgresql://…")],
    target: Annotated[
        str, Parameter(name="--to", help="Where it goes: a ledger that is empty, or was copied from the same before.")
    ],
) -> int:
    """
    Copy a ledger to another home: every entry at its position, with its proof.

    Stopped, or run again after more was written, it goes on where it ended. Before the last run stop whoever writes;
    from then on let them write to the new home. Its clients start over from it: its epoch is its own. It proves itself
    as the old one does, with the same hashes: diijam-consent verify on both.

    Exit status: 0 all is there, 2 it is not.

    Returns:
        The exit status.

    Raises:
        StoreError: one of the ledgers failed, or the target holds something else.

        ValueError: one of the URLs names no database.
    """
    if is_http(source) or is_http(target):
        raise ValueError("a consent service copies nothing: run copy where the databases are")
    with opened(source) as old, opened(target, create=True) as new:
        from_home, to_home = cast("Home", old), cast("Home", new)  # every other URL is of a database
        head = _copied(from_home, to_home, old.load([]).cursor.position, new.load([]).cursor.position)
    say(f"head     {head}", f"entries  {head.position}")
    return 0


def _copied(source: Home, target: Home, total: int, there: int) -> Cursor:
    """Copy with a bar, and say how far it came if it was stopped."""
    with progress("copying", total) as show:

        def on_page(done: int, users: int) -> None:
            nonlocal there
            there = done
            show(done, users)

        try:
            return copy_ledger(source, target, on_page)
        except StoreUnusable:  # no further run would mend that
            raise
        except (Exception, KeyboardInterrupt) as error:
            error.add_note(f"{there:,} of {total:,} entries are there: run the same command again to go on")
            raise

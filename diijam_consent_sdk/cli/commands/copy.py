"""
`diijam-consent copy`: copy a ledger to another database.

A team that outgrows one machine moves its history with every proof intact.
"""

from __future__ import annotations

from typing import Annotated, cast

from cyclopts import Parameter

from ...errors import StoreUnusable
from ...stores.answers import Cursor
from ...stores.sql.copy import copy as copy_ledger
from ...stores.sql.store import SqlStore
from ...stores.url import is_http
from ..console import print_result, show_progress
from ..store import check_apart, open_store

EXAMPLES = """\
Examples:
  diijam-consent copy --from sqlite:///consents.db \\
      --to "postgresql://consent@db.example/consent?sslmode=verify-full"

Before, the tables are made; afterwards, the copy proves itself:
  diijam-consent init \\
      --url "postgresql://consent@db.example/consent?sslmode=verify-full"
  diijam-consent verify \\
      --url "postgresql://consent@db.example/consent?sslmode=verify-full"
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

    Stopped, or run again after more was written, it goes on where it ended. Before the last run, stop the services that
    write; afterwards let them write to the new home. Clients start over there, since its epoch is another. It proves
    itself as the old one does, with the same hashes: run diijam-consent verify on both.

    The registered holders of the target become those of the source, so that no erasure waits for one that was retired:
    register and retire at the source until the last run.

    Exit status: 0 all is there, 2 it is not.

    Returns:
        The exit status.

    Raises:
        StoreError: one of the ledgers failed, or the target holds something else.

        ValueError: one of the URLs names no database, or both the same.
    """
    if is_http(source) or is_http(target):
        raise ValueError("a consent service copies nothing: run copy where the databases are")
    check_apart(source, target)
    with open_store(source, option="--from") as old, open_store(target, create=True, option="--to") as new:
        from_home, to_home = cast("SqlStore", old), cast("SqlStore", new)  # every other URL is of a database
        head = _copy_with_progress(from_home, to_home, old.load([]).cursor.position, new.load([]).cursor.position)
    print_result(f"head     {head}", f"entries  {head.position}")
    return 0


def _copy_with_progress(source: SqlStore, target: SqlStore, total: int, copied: int) -> Cursor:
    """Copy with a progress bar. If the copy is stopped, a note tells how far it came."""
    with show_progress("copying", total) as update:

        def on_page(done: int, users: int) -> None:
            nonlocal copied
            copied = done
            update(done, users)

        try:
            return copy_ledger(source, target, on_page)
        except StoreUnusable:  # running again would not help
            raise
        except (Exception, KeyboardInterrupt) as error:
            error.add_note(f"{copied:,} of {total:,} entries are there: run the same command again to go on")
            raise

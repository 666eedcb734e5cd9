"""Starts the support centre; `--help` teaches."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from diijam_consent_sdk import ConsentClient

from .story import fill

try:
    from litestar import Litestar

    from ..centers.serving import Connect, Start, make_parser, stop_on_sigterm
    from .app import create_app
    from .staff import MADE_UP, Staff
except ModuleNotFoundError as missing:
    print(f"{missing.name} is not installed: run `make support-center`, which installs it first", file=sys.stderr)
    raise SystemExit(2) from None

DESCRIPTION = "The page where Diijam's support answers what customers ask about their data."
EPILOG = """\
Without --url it makes a ledger of a few made-up customers with open requests in a temporary folder, and removes it at
the end. With --url it shows and writes to that ledger; over a consent service its token (DIIJAM_CONSENT_TOKEN) needs
the scopes read and write:requests.

  make support-center                                                     the made-up customers
  python -m examples.support_center --url sqlite:///consents.db --staff staff-0417

Anybody who can open the page can be any of its staff, so it listens on this machine alone (127.0.0.1).
Exit code 0: stopped with Ctrl-C. 2: it could not start.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Serve until Ctrl-C; see the exit codes above."""
    parser = make_parser("examples.support_center", DESCRIPTION, EPILOG)
    parser.add_argument("--staff", action="append", default=[], metavar="ID", help="an id to act as; repeatable")
    return Start("support-center", "support centre", parser, fill, _make_app, _check).run(argv, port=8766)


def _make_app(given: argparse.Namespace, connect: Connect, hosts: list[str]) -> Litestar:
    staff = [Staff(staff_id) for staff_id in given.staff] or MADE_UP
    return create_app(connect, staff, hosts=hosts, made_up=not given.url)


def _check(given: argparse.Namespace, consent: ConsentClient) -> None:
    list(consent.users(given.staff))  # evidence has the form of every id: report one that has not here


if __name__ == "__main__":
    stop_on_sigterm()
    raise SystemExit(main())

"""Starts the privacy centre; `--help` teaches."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from diijam_consent_sdk import ConsentClient

from .customers import customers, fill
from .holders import HOLDERS

try:
    from litestar import Litestar

    from ..centers.serving import Connect, Start, make_parser, stop_on_sigterm
    from .app import create_app
except ModuleNotFoundError as missing:
    print(f"{missing.name} is not installed: run `make privacy-center`, which installs it first", file=sys.stderr)
    raise SystemExit(2) from None

DESCRIPTION = "The page where customers see and change what Diijam may do with their data."
EPILOG = """\
Without --url it makes a ledger of a few made-up customers of examples/data in a temporary folder, and removes it at
the end. With --url it shows and writes to that ledger: pick its customers with --user.

  make privacy-center                                                     the made-up customers
  python -m examples.privacy_center --url sqlite:///consents.db --user u-00905

Flip a switch and watch the three services beside it. Ask for erasure, and two holders of copies confirm theirs. Or
speak to the same ledger from another terminal:

  DIIJAM_CONSENT_URL=... diijam-consent record u-00905 Withdrawn --purpose marketing

Anybody who can open the page can be any of its customers, so it listens on this machine alone (127.0.0.1).
Exit code 0: stopped with Ctrl-C. 2: it could not start.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Serve until Ctrl-C; see the exit codes above."""
    parser = make_parser("examples.privacy_center", DESCRIPTION, EPILOG)
    parser.add_argument("--user", action="append", default=[], metavar="ID", help="an id to sign in as; repeatable")
    return Start("privacy-center", "privacy centre", parser, fill, _make_app, _check).run(argv, port=8765)


def _make_app(given: argparse.Namespace, connect: Connect, hosts: list[str]) -> Litestar:
    holders = () if given.url else HOLDERS  # those of your own ledger do their own work
    return create_app(connect, customers(given.user), hosts=hosts, holders=holders)


def _check(given: argparse.Namespace, consent: ConsentClient) -> None:
    list(consent.users(given.user))  # report malformed ids here, not on a page


if __name__ == "__main__":
    stop_on_sigterm()
    raise SystemExit(main())

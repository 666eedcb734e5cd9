"""
`diijam-consent token new`: make a token that may ask a consent service.

Each service gets a token, so one that leaks is revoked alone.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from ...service import main
from ...service.scopes import Scope
from ..options import parse_time

HELP = "Make the tokens that may ask a consent service. To revoke one, delete its entry in the file."

EXAMPLES = """\
Examples:
  diijam-consent token new --tokens tokens.json --name mailer \\
      --scope ask --scope write:refusals > mailer.token
  diijam-consent token new --tokens tokens.json --name support \\
      --scope read --scope write --expires 2027-06-30
"""


def new(
    *,
    tokens: Annotated[Path, Parameter(help="The file to add it to; made if it is missing. It holds no token itself.")],
    name: Annotated[str, Parameter(help="Who gets it: a service's name, which what it writes will carry.")],
    scope: Annotated[list[Scope], Parameter(help="What the token allows. Repeat it for more.")],
    expires: Annotated[
        str | None, Parameter(help="The day on which it ends, or the instant. Without it, never.")
    ] = None,
) -> int:
    """
    Make a token and print it, alone, on standard output: this once, since only its SHA-256 is kept.

    A service that runs on the file accepts it within a second.

    Exit status: 0 it is made, 2 it is not.

    Returns:
        The exit status.

    Raises:
        OSError: the file cannot be read or written.

        ValueError: it holds something else than tokens, the name is taken or malformed, or the end is past.
    """
    return main.token_new(
        tokens=tokens, name=name, scope=scope, expires=None if expires is None else parse_end(expires)
    )


def parse_end(text: str) -> datetime:
    """
    Parse `--expires`: a day, which ends the token as it begins (UTC), or an instant with its time zone.

    Raises:
        ValueError: the text is neither.
    """
    try:
        return datetime.combine(date.fromisoformat(text), time(), UTC)
    except ValueError:
        return parse_time("expires", text)

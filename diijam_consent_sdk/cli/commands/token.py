"""
`diijam-consent token new`: make a token that may ask a consent service.

Each service gets a token, so one that leaks is revoked alone.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from ...service import main
from ...service.tokens import Scope

HELP = "Make the tokens that may ask a consent service. To revoke one, delete its entry in the file."

EXAMPLES = """\
Examples:
  diijam-consent token new --tokens tokens.json --scope read
  diijam-consent token new --tokens tokens.json --scope write > orders.token
"""


def new(
    *,
    tokens: Annotated[Path, Parameter(help="The file to add it to; made if it is missing. It holds no token itself.")],
    scope: Annotated[
        list[Scope],
        Parameter(help="What the token allows: read (load, history, changes) or write (append). Repeatable."),
    ],
) -> int:
    """
    Make a token and print it, alone, on standard output: this once, since only its SHA-256 is kept.

    A service that runs on the file accepts it within a second.

    Exit status: 0 it is made, 2 it is not.

    Returns:
        The exit status.

    Raises:
        OSError: the file cannot be read or written.

        ValueError: it holds something else than tokens.
    """
    return main.token_new(tokens=tokens, scope=scope)

"""
`diijam-consent token new|rotate|list|revoke`: the tokens that a consent service lets in.

Each service gets a token under its own name, so one that leaks is revoked alone.
"""

from __future__ import annotations

import sys
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Annotated

import msgspec
from cyclopts import Parameter

from ..._durations import parse_duration
from ...service.scopes import Scope
from ...service.token_changes import list_tokens, new_token, revoke_token, rotate_token
from ...service.tokens import TokenEntry
from ..console import format_time, print_json, print_result, print_status
from ..options import Json, parse_time

HELP = """Make, rotate, list and revoke the tokens that a consent service lets in.

The service reads the file again when it changes, so each command takes effect within a second."""

EXAMPLES = """\
Examples:
  diijam-consent token new --tokens tokens.json --name mailer \\
      --scope ask:marketing --scope write:refusals > mailer.token
  diijam-consent token list --tokens tokens.json
  diijam-consent token rotate mailer --tokens tokens.json > mailer.token
  diijam-consent token revoke mailer --tokens tokens.json
"""
NEW_EXAMPLES = """\
Examples:
  diijam-consent token new --tokens tokens.json --name mailer \\
      --scope ask:marketing --scope write:refusals > mailer.token
  diijam-consent token new --tokens tokens.json --name support \\
      --scope read --scope write --expires 2027-06-30
"""
ROTATE_EXAMPLES = """\
Examples:
  diijam-consent token rotate mailer --tokens tokens.json > mailer.token
  diijam-consent token rotate support --tokens tokens.json --keep 2d
"""
LIST_EXAMPLES = """\
Examples:
  diijam-consent token list --tokens tokens.json
  diijam-consent token list --tokens tokens.json --json | jq .tokens
"""
REVOKE_EXAMPLES = """\
Examples:
  diijam-consent token revoke mailer --tokens tokens.json
"""

Tokens = Annotated[Path, Parameter(help="The file of tokens. It holds no token itself.")]
Name = Annotated[str, Parameter(help="The name of the token.")]


def _spelled(member: str) -> str:
    """Spell a member of `Scope` as its value, since cyclopts matches by the names of members."""
    return member.lower().replace("_", ":")


def new(
    *,
    tokens: Annotated[Path, Parameter(help="The file to add it to; made if it is missing. It holds no token itself.")],
    name: Annotated[str, Parameter(help="Who gets it: a service's name, which what it writes will carry.")],
    scope: Annotated[
        list[Scope], Parameter(help="What the token allows. Repeat it for more.", name_transform=_spelled)
    ],
    expires: Annotated[
        str | None, Parameter(help="The day at whose begin (UTC) it ends, or the instant. Without it, never.")
    ] = None,
) -> int:
    """
    Make a token and print it, alone, on standard output: this once, since only its SHA-256 is kept.

    A scope includes no other, so name all that the service needs: ask for guards, write:refusals for the no of a
    customer, write for all events. A name has one token, so that an entry of the ledger tells who wrote it.

    Exit status: 0 it is made, 2 it is not.

    Returns:
        The exit status.

    Raises:
        OSError: the file cannot be read or written.

        ValueError: it holds something else than tokens, the name is taken or malformed, or the end is past.
    """
    secret = new_token(tokens, name, scope, expires_at=None if expires is None else parse_end(expires))
    _show_once(secret, f"revoke {name}, then make it again")
    print_status(f"added the token of {name} ({', '.join(sorted(set(scope)))}) to {tokens}; it is shown only now")
    return 0


def rotate(
    name: Name,
    *,
    tokens: Tokens,
    keep: Annotated[str, Parameter(help="How long the old token goes on: 1h unless given.")] = "1h",
) -> int:
    """
    Make a second token under a name and print it, alone, on standard output. The old one ends after --keep.

    It has the scopes and the end of the old one. Give it to the service within that time. After a leak, revoke the name
    and make a new token.

    Exit status: 0 it is made, 2 it is not.

    Returns:
        The exit status.

    Raises:
        OSError: the file cannot be read or written.

        ValueError: no token has the name, it has expired or is being rotated already, or --keep is no duration.
    """
    secret, ends_at = rotate_token(tokens, name, parse_duration(keep))
    end = format_time(ends_at)
    _show_once(secret, f"the old one still ends at {end}; revoke {name} and make a new one before")
    print_status(f"{name} has a new token, which is shown only now; the old one ends at {end}")
    return 0


def _show_once(secret: str, remedy: str) -> None:
    """Print a secret that is kept nowhere else. If that fails, its token is in the file and nobody has it."""
    try:
        print_result(secret)
        sys.stdout.flush()
    except OSError as error:
        raise ValueError(f"the token was made but could not be shown ({error.strerror}): {remedy}") from None


def show(*, tokens: Tokens, as_json: Json = False) -> int:
    """
    List the tokens: name, scopes, when each was made and when it ends. A name that is rotated has two.

    Exit status: 0 listed, 2 the file cannot be read.

    Returns:
        The exit status.

    Raises:
        OSError: the file cannot be read.

        ValueError: it holds something else than tokens.
    """
    entries = list_tokens(tokens)
    if as_json:
        print_json(msgspec.json.encode({"tokens": [_to_json(entry) for entry in entries]}))
        return 0
    rows = [("NAME", "CREATED", "ENDS", "SCOPES"), *map(_to_row, entries)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print_result("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    return 0


def revoke(name: Name, *, tokens: Tokens) -> int:
    """
    Revoke all tokens of a name: within a second the service lets them in no more.

    Exit status: 0 revoked, 2 they are not.

    Returns:
        The exit status.

    Raises:
        OSError: the file cannot be read or written.

        ValueError: no token has the name.
    """
    revoke_token(tokens, name)
    print_status(f"the token of {name} is revoked")
    return 0


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


def _to_json(entry: TokenEntry) -> dict[str, object]:
    return {
        "name": entry.name,
        "scopes": sorted(entry.scopes),
        "created_at": entry.created_at,
        "expires_at": entry.expires_at,
    }


def _to_row(entry: TokenEntry) -> tuple[str, str, str, str]:
    end = "never" if entry.expires_at is None else format_time(entry.expires_at)
    if entry.has_expired():
        end = "has expired"
    return entry.name, format_time(entry.created_at), end, " ".join(sorted(entry.scopes))

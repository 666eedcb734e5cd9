"""
`diijam-consent report`: what the whole ledger adds up to, as a page and as JSON.

It names no customer, and is written only once all was read.
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import Annotated, TextIO

from cyclopts import Parameter

from ....vocabulary import Language
from ...output import STANDARD_OUTPUT, open_output, resolve_output
from ...store import Url, open_store
from .reading import read_report

EXAMPLES = """\
Examples:
  diijam-consent report --html report.html --json report.json
  diijam-consent report --html report.html --lang en
  diijam-consent report --json - | jq '.requests.open[] | {kind, overdue}'
"""


def report(
    *,
    html: Annotated[
        str | None,
        Parameter(help="The page to write. - is standard output.", allow_leading_hyphen=True),
    ] = None,
    json: Annotated[
        str | None,
        Parameter(help="The JSON to write, for machines. - is standard output.", allow_leading_hyphen=True),
    ] = None,
    lang: Annotated[Language, Parameter(help="The language of the page; vi unless given.")] = "vi",
    url: Url = None,
) -> int:
    """
    Report on the whole ledger, in numbers alone.

    It counts consents and refusals by purpose, channel and month, imports apart; for how many customers each ask would
    be allowed now, and why not; open requests by state, and overdue ones; erasures, and what they wait for.

    The page prints well, and needs nothing from elsewhere. A file that is there already is replaced. Memory stays the
    same however many customers there are. Over a consent service the token needs the scopes read, list and ask.

    Exit status: 0; 2 it could not be read or written.

    Returns:
        The exit status.

    Raises:
        ConsentError: the ledger could not be read, or not all of it by this token.

        ValueError: no output is named, or both are the same.

        OSError: an output cannot be written.
    """
    _check_outputs(html, json)
    with ExitStack() as outputs:
        page, data = (None if name is None else outputs.enter_context(open_output(name)) for name in (html, json))
        with open_store(url) as store:
            found = read_report(store)
        _write(page, found.to_html(lang) if page else "")
        _write(data, found.to_json() if data else "")
    return 0


def _check_outputs(html: str | None, json: str | None) -> None:
    if html is None and json is None:
        raise ValueError("what to write? Give --html report.html, --json report.json, or both")
    if html is not None and json is not None:
        both = (html, json) if STANDARD_OUTPUT in (html, json) else (resolve_output(html), resolve_output(json))
        if both[0] == both[1]:
            raise ValueError("--html and --json are the same output: name two")


def _write(stream: TextIO | None, text: str) -> None:
    if stream is not None:
        stream.write(text)

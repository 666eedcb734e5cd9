"""
`diijam-consent file`: write one customer's file, for the customer or an auditor.

It holds personal data, so nobody else may read what is written, and nothing is written unless all of it was read.
"""

from __future__ import annotations

from pathlib import PurePath
from typing import Annotated

from cyclopts import Parameter

from ...customer_file import CustomerFile
from ...identifiers import identifier
from ...vocabulary import Language
from ..console import print_status
from ..output import STANDARD_OUTPUT, open_output
from ..store import Url, make_client, open_store

EXAMPLES = """\
Examples:
  diijam-consent file u-1 --lang vi --output u-1.html
  diijam-consent file u-1 --lang en --output u-1.json
  diijam-consent file u-1 --json | jq -r '.entries[].words'
  diijam-consent file --output odd.html -- --odd-id
"""


def file(
    user_id: Annotated[str, Parameter(help="The customer.")],
    /,
    *,
    lang: Annotated[Language, Parameter(help="The language of the file; vi unless given.")] = "vi",
    output: Annotated[
        str,
        Parameter(
            help="The file to write, which only you may read: .html or .json. - or nothing is standard output.",
            allow_leading_hyphen=True,
        ),
    ] = STANDARD_OUTPUT,
    as_json: Annotated[
        bool, Parameter(name="--json", help="JSON, for machines. Standard output is HTML else.")
    ] = False,
    url: Url = None,
) -> int:
    """
    Write everything that the ledger has of one customer into one file.

    These are what was said, how, and who wrote it down; the words that were shown; what holds now, and why; requests
    and holds; and the hashes that prove it.

    The page prints well, and needs nothing from elsewhere. Of an erased customer only the erasure is left. A file that
    is there already is replaced.

    Exit status: 0, also for a customer nobody knows; 2 it could not be read or written.

    Returns:
        The exit status.

    Raises:
        StoreError: the ledger could not be read.

        ValueError: the id is malformed, or the output's name ends neither in .html nor in .json.

        OSError: the output cannot be written.
    """
    identifier(user_id)
    is_json = _is_json(output, as_json=as_json)
    with open_store(url) as store, make_client(store) as client:
        found = client.customer_file(user_id, lang)
    if not found.entries:
        print_status("note: the ledger knows no such customer, and the file says so")
    _write(found, output, is_json=is_json)
    return 0


def _is_json(output: str, *, as_json: bool) -> bool:
    """Whether JSON is wanted, by the ending of the output's name."""
    if output == STANDARD_OUTPUT:
        return as_json
    ending = PurePath(output).suffix.lower()
    if ending not in {".html", ".json"}:
        raise ValueError("--output ends in .html or .json, which says what is written")
    if as_json and ending != ".json":
        raise ValueError("either --json or an --output that ends in .html: both at once make no sense")
    return ending == ".json"


def _write(found: CustomerFile, output: str, *, is_json: bool) -> None:
    with open_output(output) as stream:
        stream.write(found.to_json() if is_json else found.to_html())

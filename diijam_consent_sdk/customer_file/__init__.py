"""
One customer's file: everything said, the words shown each time, what holds now, and the proofs.

A customer may ask what Diijam has on record, and an auditor whether it can be proved. One file answers both, as JSON
for machines and as a page that prints well.
"""

from __future__ import annotations

import attrs

from ..vocabulary import LANGUAGES, Language
from .contents import Contents
from .json_form import encode
from .page import render
from .shown import registered_names

__all__ = ["CustomerFile", "checked_language", "registered_names"]


@attrs.frozen
class CustomerFile(Contents):
    """
    What a ledger has of one customer. Of an erased one that is the tombstone alone: clause 6.

    It is written in `language`, "vi" or "en", and holds as of `made_at` (UTC), when the ledger's head was `head`, a
    token as `ConsentClient.head` gives it. `record` is the customer's, `entries` are all entries that made it, oldest
    first, and `notices` the registered notices that the entries name, by id.
    """

    def to_json(self) -> str:
        """
        Write the file as JSON, times in UTC.

        Returns:
            An object with the keys `user_id`, `made_at`, `language`, `head`, `entries`, `notices`, `now`, `requests`
            and `holds`; docs/how-to/audit.md shows what each has.
        """
        return encode(self)

    def to_html(self) -> str:
        """Write the file as one HTML page, for a screen and for A4, without scripts or external resources."""
        return render(self)


def checked_language(language: Language) -> Language:
    """
    Check the language of a file.

    Raises:
        ValueError: it is neither "vi" nor "en".
    """
    if language not in LANGUAGES:
        raise ValueError("a customer's file is in 'vi' or 'en'")
    return language

"""
The reasons that staff may give: ids of texts that Diijam keeps and sends to customers, here those of `reasons.toml`.

A ledger keeps the id alone, so no personal data gets into it by a sentence that somebody typed.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path

import attrs

from diijam_consent_sdk import Outcome
from diijam_consent_sdk.vocabulary import Language

from ..centers.words import Text

EXTENDED = "extended"
LISTED = Path(__file__).with_name("reasons.toml")
NEEDED_FOR = {EXTENDED, Outcome.REFUSED, Outcome.CANCELLED}


@attrs.frozen
class Reasons:
    """
    The reasons by what they are given for: `extended`, or an outcome.

    Args:
        texts: For each, the ids with their texts.
    """

    texts: Mapping[str, Mapping[str, Text]]

    def label(self, reason: str, language: Language) -> str:
        """The text of a reason; of one that is not listed its id."""
        found = next((texts[reason] for texts in self.texts.values() if reason in texts), None)
        return reason if found is None else str(getattr(found, language))

    def lists(self, reason: str, given_for: str) -> bool:
        """Whether a reason is listed for what it is given for."""
        return reason in self.texts.get(given_for, {})


def read_reasons(path: Path = LISTED) -> Reasons:
    """Read a list of reasons. Errors are those of reading the file."""
    tables = tomllib.loads(path.read_text("utf-8"))
    return Reasons({name: {key: Text(**text) for key, text in table.items()} for name, table in tables.items()})

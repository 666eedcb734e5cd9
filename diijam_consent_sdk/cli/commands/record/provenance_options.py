"""Make a provenance from the options of a command line."""

from __future__ import annotations

from typing import Annotated

import attrs
from cyclopts import Parameter

from ....events import Provenance
from ....vocabulary import Method
from ...options import parse_time


@attrs.frozen(kw_only=True)
class ProvenanceOptions:
    """How the customer said it. None: not known."""

    method: Annotated[str | None, Parameter(name="--method", help=f"How it reached Diijam: {', '.join(Method)}.")] = (
        None
    )
    evidence: Annotated[
        str | None,
        Parameter(name="--evidence", help="The id of what proves it, a form or a recording; no personal data."),
    ] = None
    language: Annotated[
        str | None, Parameter(name="--language", help="The language in which the customer was asked: vi, en, ….")
    ] = None
    said_at: Annotated[
        str | None,
        Parameter(
            name="--said-at",
            help="With --method import alone, and needed there: when the customer said it, like"
            " 2025-03-01T09:00:00+07:00. The ledger shows it as the importer's claim.",
        ),
    ] = None

    def provenance(self, by: str) -> Provenance:
        """
        Make the provenance of what *by* writes.

        Raises:
            ValueError: a word, id, tag or time is malformed, or one of `--said-at` and `--method import` is missing.
        """
        said_at = None if self.said_at is None else parse_time("said_at", self.said_at)
        method = None if self.method is None else Method(self.method)
        if (method is Method.IMPORT) is (said_at is None):
            raise ValueError("--method import and --said-at go together: what is said now has the store's time")
        return Provenance(by, method, self.evidence, self.language, said_at)

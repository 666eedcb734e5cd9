"""Who wrote an entry of the ledger, and how the customer said it."""

from __future__ import annotations

from datetime import datetime

import attrs
from attrs import converters

from .identifiers import identifier, language_tag
from .vocabulary import Method, instant


@attrs.frozen
class Provenance:
    """
    Who wrote an entry, and how the customer said it. All is optional, and no answer depends on it.

    `by` is the writer: the name of the service's token, or the client's `actor`; a relay's comes before its client's,
    as in `relay/mailer`. `evidence` is an opaque id of what proves the entry, such as a form, and no personal data;
    `language` a BCP 47 tag of the language in which the customer was asked. `said_at` comes with `Method.IMPORT` and
    with nothing else: when it was said, as the importer claims.

    Raises:
        ValueError: an id, the tag or the method is malformed, `said_at` is naive, or one of `said_at` and
            `Method.IMPORT` comes without the other.

        TypeError: a value has another type.
    """

    by: str | None = attrs.field(converter=converters.optional(identifier), default=None)
    method: Method | None = attrs.field(converter=converters.optional(Method), default=None)
    evidence: str | None = attrs.field(converter=converters.optional(identifier), default=None, repr=False)
    language: str | None = attrs.field(converter=converters.optional(language_tag), default=None)
    said_at: datetime | None = attrs.field(converter=converters.optional(instant), default=None)

    def __attrs_post_init__(self) -> None:
        if self.method is Method.IMPORT and self.said_at is None:
            raise ValueError("what is imported needs said_at: when the customer said it")
        if self.method is not Method.IMPORT and self.said_at is not None:
            raise ValueError("said_at is for Method.IMPORT alone: what is said now has the store's time")

    def without_customer(self) -> Provenance:
        """Keep who wrote the entry and the way, as a tombstone does, and nothing that leads to the customer."""
        return Provenance(self.by, None if self.method is Method.IMPORT else self.method)


NO_PROVENANCE = Provenance()

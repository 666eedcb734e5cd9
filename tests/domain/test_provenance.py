"""What a provenance refuses, and what a tombstone keeps of it."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from diijam_consent_sdk import Method, Provenance

SAID = datetime(2024, 2, 1, 8, tzinfo=UTC)
NO_SAID_AT = "what is imported needs said_at: when the customer said it"
NO_IMPORT = "said_at is for Method.IMPORT alone: what is said now has the store's time"
REFUSED: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"method": Method.IMPORT}, ValueError, NO_SAID_AT),
    ({"method": "import"}, ValueError, NO_SAID_AT),
    ({"said_at": SAID}, ValueError, NO_IMPORT),
    ({"method": Method.WEB, "said_at": SAID}, ValueError, NO_IMPORT),
    ({"by": " mailer"}, ValueError, "an id has no white space at either end"),
    ({"by": 7}, TypeError, "an id is a string, not int"),
    ({"evidence": ""}, ValueError, "an id has 1 to 256 characters, not 0"),
    ({"language": "tiếng Việt"}, ValueError, "a language is a BCP 47 tag, such as vi or en-GB"),
    ({"language": b"vi"}, TypeError, "a language is a string, not bytes"),
]


@pytest.mark.parametrize(("given", "kind", "why"), REFUSED)
def test_what_is_no_provenance_is_refused(given: dict[str, Any], kind: type[Exception], why: str) -> None:
    """Each malformed value is refused with what is right, and so is an import without its time, and the reverse."""
    with pytest.raises(kind, match=f"^{re.escape(why)}$"):
        Provenance(**given)


def test_a_naive_time_is_refused() -> None:
    """When it was said needs a time zone, and is kept in UTC."""
    with pytest.raises(ValueError, match="time zone"):
        Provenance(method=Method.IMPORT, said_at=SAID.replace(tzinfo=None))
    hanoi = SAID.astimezone(timezone(timedelta(hours=7)))
    said_at = Provenance(method=Method.IMPORT, said_at=hanoi).said_at
    assert said_at == SAID
    assert said_at.tzinfo is UTC


@pytest.mark.parametrize("method", [*(method for method in Method if method is not Method.IMPORT), None])
def test_a_tombstone_keeps_the_writer_and_the_way(method: Method | None) -> None:
    """The evidence and the language lead to the customer, and go."""
    full = Provenance(by="shop", method=method, evidence="form-5f0c", language="vi")
    assert full.without_customer() == Provenance(by="shop", method=method)


def test_a_tombstone_keeps_no_import() -> None:
    """The time that an import claims goes, and with it the method, which may not stand alone."""
    full = Provenance(by="shop", method=Method.IMPORT, evidence="row-7", language="vi", said_at=SAID)
    assert full.without_customer() == Provenance(by="shop")


def test_a_provenance_shows_no_evidence() -> None:
    """The id of what proves an entry is in no `repr`, and so in no log."""
    assert "form-5f0c" not in repr(Provenance(by="shop", evidence="form-5f0c"))

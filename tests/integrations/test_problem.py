"""A denial as an HTTP response."""

from __future__ import annotations

import json

import pytest

from diijam_consent_sdk.decisions import DECISIONS, Decision
from diijam_consent_sdk.integrations.problem import preferred_language, problem_response

DENIALS = [decision for decision in DECISIONS.values() if not decision]


@pytest.mark.parametrize("denial", DENIALS, ids=lambda denial: f"{denial.reason}-{denial.clause}")
def test_every_denial_is_a_problem(denial: Decision) -> None:
    """Each denial gives a 403 and a document with its reason, clause and wording."""
    found = problem_response(denial, "en")
    document = json.loads(found.body)
    assert found.status == document["status"] == 403
    assert (document["reason"], document["clause"], document["detail"]) == (
        denial.reason, denial.clause, denial.message("en"),
    )  # fmt: skip
    assert found.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    ("header", "language"),
    [
        (None, "vi"), ("", "vi"), ("fr", "vi"), ("en", "en"), ("en-US,en;q=0.9", "en"), ("vi,en", "vi"),
        ("en,vi", "en"), ("fr, en;q=0.4, vi;q=0.8", "vi"), ("vi;q=0, en;q=0.1", "en"), ("en;q=0", "vi"),
        ("en;q=x", "vi"), ("EN-gb", "en"), ("*", "vi"),
    ],
)  # fmt: skip
def test_the_language_that_is_preferred(header: str | None, language: str) -> None:
    """The heavier of Vietnamese and English, Vietnamese if it names neither."""
    assert preferred_language(header) == language

"""The how-to pages do not lie: their Python runs, and what it prints is what they say."""

from __future__ import annotations

import asyncio
import inspect
import re
from pathlib import Path

import pytest
from sybil import Sybil
from sybil.parsers.markdown import PythonCodeBlockParser

from diijam_consent_sdk import AsyncConsentClient, ConsentClient
from diijam_consent_sdk.testing import ConsentForTests

DOCS = Path(__file__).parent.parent / "docs"
PAGES = [*sorted((DOCS / "how-to").glob("*.md")), DOCS / "conformance.md"]
PROMISED = re.compile(r"print\(.*\)  # (.+)$", re.MULTILINE)
SYBIL = Sybil(parsers=[PythonCodeBlockParser()])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_code_of_a_page_runs(page: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every block runs as it stands, one after the other; its tests pass, and its comments say what is printed."""
    document = SYBIL.parse(page)
    examples = list(document.examples())
    assert examples
    for example in examples:
        example.evaluate()
    tests = [value for name, value in document.namespace.items() if name.startswith("test_")]
    for test in tests:
        if "consent" in inspect.signature(test).parameters:  # the fixture's; the others were called on the page
            with ConsentForTests() as consent:
                test(consent)
    for value in document.namespace.values():
        if isinstance(value, ConsentClient):
            value.close()
        elif isinstance(value, AsyncConsentClient):
            asyncio.run(value.close())
    printed = capsys.readouterr().out
    for promised in PROMISED.findall(page.read_text(encoding="utf-8")):
        assert promised in printed

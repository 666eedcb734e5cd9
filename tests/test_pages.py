"""The pages are right: their Python runs and prints what they show, their commands and links exist."""

from __future__ import annotations

import asyncio
import inspect
import re
import shlex
from pathlib import Path

import pytest
from sybil import Sybil
from sybil.parsers.markdown import PythonCodeBlockParser

from diijam_consent_sdk import AsyncConsentClient, ConsentClient
from diijam_consent_sdk.cli.app import app
from diijam_consent_sdk.testing import ConsentForTests

ROOT = Path(__file__).parent.parent
PAGES = sorted([*ROOT.glob("README*.md"), *(ROOT / "docs").rglob("*.md")])
TEXTS = {str(page.relative_to(ROOT)): page.read_text(encoding="utf-8") for page in PAGES}
RUNNING = [name for name, text in TEXTS.items() if "```python\n" in text]
PROMISED = re.compile(r"print\(.*\)  # (.+)$", re.MULTILINE)
SHOWN = re.compile(r"^(?:\$ (?=make )|(?:\$ )?(?:sudo -u \S+ )?(?:\S+/bin/)?(?=diijam-consent ))(.+)$", re.MULTILINE)
CONTINUED = re.compile(r" \\\n\s*")  # a line that ends in a backslash goes on in the next
COMMANDS = sorted(
    {
        re.split(r" [|<>&#]", line)[0].strip()
        for text in TEXTS.values()
        for line in SHOWN.findall(CONTINUED.sub(" ", text))
    }
)
LINK = re.compile(r"\]\(([^)#:]+)(?:#[^)]*)?\)")


@pytest.mark.parametrize("name", RUNNING)
def test_the_code_of_a_page_runs(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Every block runs as it stands, one after the other; its tests pass; it prints what its comments say, in order."""
    document = Sybil(parsers=[PythonCodeBlockParser()]).parse(ROOT / name)
    for example in document.examples():
        example.evaluate()
    for word, value in document.namespace.items():
        if (
            word.startswith("test_") and "consent" in inspect.signature(value).parameters
        ):  # others are called by the page
            with ConsentForTests() as consent:
                value(consent)
        elif isinstance(value, ConsentClient):
            value.close()
        elif isinstance(value, AsyncConsentClient):
            asyncio.run(value.close())
    printed = iter(capsys.readouterr().out.splitlines())
    for promised in PROMISED.findall(TEXTS[name]):
        assert any(line.startswith(promised.removesuffix(" …")) for line in printed), promised


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_that_is_shown_is_one(command: str) -> None:
    """The command line takes it as it is written; make has the target."""
    program, *arguments = shlex.split(command)
    if program == "make":
        targets = re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
        assert {word for word in arguments if "=" not in word} <= set(targets)
    else:
        app.parse_args(arguments, print_error=False, exit_on_error=False)


@pytest.mark.parametrize("name", TEXTS)
def test_links_lead_somewhere(name: str) -> None:
    """What a page links to within the repository is there."""
    missing = [link for link in LINK.findall(TEXTS[name]) if not (ROOT / name).parent.joinpath(link).exists()]
    assert not missing

"""The centre's words: both languages, none missing, none too many."""

from __future__ import annotations

import re
import string
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from diijam_consent_sdk import Outcome
from diijam_consent_sdk.identifiers import identifier
from diijam_consent_sdk.vocabulary import Account
from examples import centers, support_center
from examples.centers.words import read_texts
from examples.support_center.reasons import EXTENDED, read_reasons
from examples.support_center.rendering import PAGES, SHOWN
from examples.support_center.views import STATES
from examples.support_center.words import Words

FOLDERS = Path(support_center.__file__).parent, Path(centers.__file__).parent
TEXTS = read_texts(Words.PATH)
NOTE = r'(?:Unfinished\(|note=|return |yield |else )"([a-z_]+)"'
PROBLEMS = (
    "not_written", "outcome", "unavailable", "not_found", "forbidden", "bad_form", "broken", "signed_out",
    "elsewhere", "expired", "not_entitled",
)  # fmt: skip


def keys_asked_for() -> set[str]:
    """Every key that a template, or a module, can ask for."""
    sources = [path for folder in FOLDERS for pattern in ("templates/*.html", "*.py") for path in folder.glob(pattern)]
    texts = [path.read_text(encoding="utf-8") for path in sources]
    literal = r'(?:\bt|words|self)\(\s*["\']([a-z_.]+?)["\'](?: if .*? else "([a-z_.]+)")?'
    keys = {key for text in texts for pair in re.findall(literal, text) for key in pair if key and key[-1] != "."}
    members: dict[str, Iterable[str]] = {
        "nav": PAGES, "state": STATES, "outcome": Outcome, "account": Account, "kept": SHOWN, "next": ["reply", "deed"],
        "time.left": ["hours", "day", "days"], "time.late": ["hours", "day", "days"],
        "reasons_for": [EXTENDED, *Outcome], "act": ["reply", "extend_send", "resolve_send"],
        "problem": [f"{problem}{more}" for problem in PROBLEMS for more in ("", "_text")],
    }  # fmt: skip
    keys |= {f"{prefix}.{member}" for prefix, named in members.items() for member in named}
    own = (FOLDERS[0] / name for name in ("acts.py", "pages.py", "customer_pages.py"))
    notes = {key for path in own for key in re.findall(NOTE, path.read_text(encoding="utf-8"))}
    return keys | {f"note.{note}" for note in {*notes, "replied", "extended", "resolved", "repeated"}}


def test_every_key_is_there_and_used() -> None:
    """What the centre asks for is what it has words for, no more and no less."""
    assert keys_asked_for() == set(TEXTS)


def test_both_languages() -> None:
    """A key says something in both languages, with the same values in it, and no spaces around it."""
    reasons = {f"{name}.{key}": text for name, table in read_reasons().texts.items() for key, text in table.items()}
    for key, text in {**TEXTS, **reasons}.items():
        fields = [{name for _, name, _, _ in string.Formatter().parse(said) if name} for said in (text.vi, text.en)]
        assert fields[0] == fields[1], key
        assert text.vi.strip() == text.vi != "", key
        assert text.en.strip() == text.en != text.vi, key


def test_reasons() -> None:
    """Each way in which a reason is given has some, and each reason is an id that the ledger takes."""
    reasons = read_reasons()
    assert set(reasons.texts) == {EXTENDED, *Outcome}
    listed = [reason for table in reasons.texts.values() for reason in table]
    assert len(listed) == len(set(listed))
    assert [identifier(reason) for reason in listed] == listed


@pytest.mark.parametrize(
    ("days", "said"),
    [(3.2, "3 days left"), (1.5, "1 day left"), (0.1, "less than a day left"), (0, "less than a day late"),
     (-1, "1 day late"), (-2.9, "2 days late")],
)  # fmt: skip
def test_time_left(days: float, said: str) -> None:
    """Time is told in whole days, and what is due now is late."""
    now = datetime(2026, 11, 1, tzinfo=UTC)
    assert Words("en").left(now + timedelta(days=days), now) == said

"""What the centre says, in Vietnamese and English: `words.toml`, read once."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta, timezone
from functools import cache
from pathlib import Path
from typing import Any

import attrs

from diijam_consent_sdk.vocabulary import Language

LANGUAGES: Mapping[Language, str] = {"vi": "Tiếng Việt", "en": "English"}
HANOI = timezone(timedelta(hours=7))  # where the customers are; no daylight saving time there


@attrs.frozen
class Text:
    """One thing to say."""

    vi: str
    en: str


@cache
def texts() -> Mapping[str, Text]:
    """Everything there is to say, by key: `nav.choices`."""
    tables = tomllib.loads(Path(__file__).with_name("words.toml").read_text(encoding="utf-8"))
    return dict(_texts(tables, ""))


def _texts(table: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Text]]:
    for name, value in table.items():
        if "vi" in value:
            yield prefix + name, Text(**value)
        else:
            yield from _texts(value, f"{prefix}{name}.")


@attrs.frozen
class Words:
    """
    The words of one language. A key that is not there is a `KeyError`: a bug to find today.

    Args:
        language: `vi` or `en`.
    """

    language: Language

    def __call__(self, key: str, **values: object) -> str:
        """What *key* stands for, with *values* in their places."""
        text: str = getattr(texts()[key], self.language)
        return text.format_map(values)

    def listed(self, prefix: str, members: Iterable[str], suffix: str = "") -> str:
        """Several things in a row, in the order of their keys: "email, tin nhắn"."""
        return ", ".join(self(f"{prefix}.{member}{suffix}") for member in sorted(members))

    def fields(self, members: Iterable[str]) -> str:
        """Kinds of data within a sentence."""
        return ", ".join(_uncapitalised(self(f"field.{member}")) for member in sorted(members))

    def day(self, at: datetime) -> str:
        """A day, in the time of Vietnam."""
        here = at.astimezone(HANOI)
        return f"{here.day}/{here.month}/{here.year}" if self.language == "vi" else f"{here.day} {here:%b %Y}"

    def time(self, at: datetime) -> str:
        """The time of day, in the time of Vietnam."""
        return f"{at.astimezone(HANOI):%H:%M}"


def _uncapitalised(text: str) -> str:
    return text[:1].lower() + text[1:]

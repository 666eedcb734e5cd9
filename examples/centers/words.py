"""What the centres say, in Vietnamese and English: the `words.toml` of both and the centre's own, each read once."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

import attrs

from diijam_consent_sdk.vocabulary import Language
from diijam_consent_sdk.wording import in_vietnam

LANGUAGES: Mapping[Language, str] = {"vi": "Tiếng Việt", "en": "English"}
SHARED = Path(__file__).with_name("words.toml")


@attrs.frozen
class Text:
    """One thing to say."""

    vi: str
    en: str


@cache
def read_texts(path: Path) -> Mapping[str, Text]:
    """Everything that a centre can say, by key, as in `nav.choices`: its own file and the one that both share."""
    return {key: text for file in (SHARED, path) for key, text in _texts(tomllib.loads(file.read_text("utf-8")), "")}


def _texts(table: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Text]]:
    for name, value in table.items():
        if "vi" in value:
            yield prefix + name, Text(**value)
        else:
            yield from _texts(value, f"{prefix}{name}.")


@attrs.frozen
class CenterWords:
    """
    The words of one language. A key that is not there is a `KeyError`: a bug to find today.

    Args:
        language: `vi` or `en`.
    """

    PATH: ClassVar[Path]
    language: Language

    def __call__(self, key: str, **values: object) -> str:
        """What *key* stands for, with *values* in their places."""
        text: str = getattr(read_texts(self.PATH)[key], self.language)
        return text.format_map(values)

    def day(self, at: datetime) -> str:
        """A day, in the time of Vietnam."""
        here = in_vietnam(at)
        return f"{here.day}/{here.month}/{here.year}" if self.language == "vi" else f"{here.day} {here:%b %Y}"

    def time(self, at: datetime) -> str:
        """The time of day, in the time of Vietnam."""
        return f"{in_vietnam(at):%H:%M}"

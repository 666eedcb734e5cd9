"""What the centre says, in Vietnamese and English: `words.toml`, read once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import ClassVar

import attrs

from ..centers.words import CenterWords, Text, read_texts


@attrs.frozen
class Words(CenterWords):
    """The privacy centre's words of one language."""

    PATH: ClassVar[Path] = Path(__file__).with_name("words.toml")

    def listed(self, prefix: str, members: Iterable[str], suffix: str = "") -> str:
        """Several things in a row, in the order of their keys: "email, tin nhắn"."""
        return ", ".join(self(f"{prefix}.{member}{suffix}") for member in sorted(members))

    def fields(self, members: Iterable[str]) -> str:
        """Kinds of data within a sentence."""
        return ", ".join(_uncapitalised(self(f"field.{member}")) for member in sorted(members))


def texts() -> Mapping[str, Text]:
    """Everything there is to say, by key: `nav.choices`."""
    return read_texts(Words.PATH)


def _uncapitalised(text: str) -> str:
    return text[:1].lower() + text[1:]

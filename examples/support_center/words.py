"""What the centre says to staff, in Vietnamese and English: `words.toml`, and the labels of the library."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import ClassVar

import attrs

from diijam_consent_sdk.vocabulary import Word

from ..centers.words import CenterWords

DAY_SECONDS = 86_400


@attrs.frozen
class Words(CenterWords):
    """The support centre's words of one language."""

    PATH: ClassVar[Path] = Path(__file__).with_name("words.toml")

    def label(self, word: Word) -> str:
        """A word of the vocabulary, as it stands alone."""
        label = word.label(self.language)
        return label[:1].upper() + label[1:]

    def labels(self, words: Iterable[Word]) -> str:
        """Several words of the vocabulary in a row."""
        return ", ".join(word.label(self.language) for word in sorted(words))

    def moment(self, at: datetime) -> str:
        """A day and the time of day."""
        return self("time.moment", time=self.time(at), day=self.day(at))

    def left(self, due_at: datetime, at: datetime) -> str:
        """How long there is until *due_at*, or how long it is past, in whole days."""
        seconds = (due_at - at).total_seconds()
        days = int(abs(seconds) // DAY_SECONDS)
        when = "left" if seconds > 0 else "late"
        return self(f"time.{when}.{('hours', 'day')[days] if days < 2 else 'days'}", days=days)

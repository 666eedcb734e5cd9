"""
The notices that the centre's consents name: exactly the words that it shows beside each switch, in both languages.

The id ends with a digest of the words, so a changed text is a new id by itself, and old consents keep their words.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import cache

from diijam_consent_sdk import AsyncConsentClient, Channel, Field, NoticeText, Purpose
from diijam_consent_sdk.policy import CHANNEL_FIELD

from ..centers.words import LANGUAGES
from .views import OPT_IN
from .words import Words

# The data that the words name. What a customer listens to is sensitive by law, and the words say so.
DATA: Mapping[Purpose, frozenset[Field]] = {
    Purpose.MARKETING: frozenset(CHANNEL_FIELD.values()),
    Purpose.SERVICE_IMPROVEMENT: frozenset({Field.LISTENING_HISTORY}),
    Purpose.SERVICE_DEVELOPMENT: frozenset({Field.LISTENING_HISTORY}),
}


@cache
def notices() -> Mapping[Purpose, NoticeText]:
    """Make the notice of each purpose that needs a yes."""
    return {purpose: _notice(purpose) for purpose in (Purpose.MARKETING, *OPT_IN)}


async def register(consent: AsyncConsentClient) -> None:
    """Register all of them. Those that are registered already stay as they are; errors are those of the client."""
    for notice in notices().values():
        await consent.register_notice(notice)


def _notice(purpose: Purpose) -> NoticeText:
    texts: dict[str, str] = {language: "\n".join(_shown(purpose, Words(language))) for language in LANGUAGES}
    version = hashlib.sha256("\n".join(texts.values()).encode()).hexdigest()[:8]
    data = DATA.get(purpose, frozenset())
    return NoticeText(
        f"privacy-center-{purpose}-{version}", texts, {purpose}, data, sensitive=data & {Field.LISTENING_HISTORY}
    )  # fmt: skip


def _shown(purpose: Purpose, words: Words) -> list[str]:
    """What the page of choices shows about a purpose, from its title down to the switch."""
    page = [words("choices.title"), words("choices.lead")]
    if purpose is Purpose.MARKETING:
        channels = [words(f"channel.{channel}.name") for channel in Channel]
        return [*page, words("choices.marketing"), words("choices.marketing_hint"), *channels]
    return [*page, words("choices.others"), words(f"purpose.{purpose}.name"), words(f"purpose.{purpose}.hint")]

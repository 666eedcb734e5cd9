"""
Register the words that the customers of examples/data were shown, so that their consents can be proved word for word.

    DIIJAM_CONSENT_URL=sqlite:///consents.db python examples/notices.py

Run it before the consents are recorded: an entry keeps the digest of the words that were registered by then. Exit code
0: they are registered, also if they were before. 2: they are not.
"""

from __future__ import annotations

import argparse
import sys
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path

from diijam_consent_sdk import ConsentClient, Field, NoticeText, Purpose
from diijam_consent_sdk.errors import ConsentError
from diijam_consent_sdk.policy import SENSITIVE

DATA = Path(__file__).parent / "data"


def notices() -> Iterator[NoticeText]:
    """Make the notices: those of consents, and those of sharings with partners."""
    words, partners = (tomllib.loads((DATA / name).read_text("utf-8")) for name in ("notices.toml", "names.toml"))
    for given in words["consent"]:
        texts = {language: given[language] for language in ("vi", "en")}
        yield NoticeText(given["notice"], texts, given["purposes"], given["data"])
    for partner in partners["partner"]:
        for version in words["sharing"]["versions"]:
            yield sharing(partner["recipient"], partner["purpose"], partner["data"], version, words["sharing"])


def sharing(recipient: str, purpose: str, data: list[str], version: str, words: dict[str, str]) -> NoticeText:
    """Make the notice of one sharing, which names what the law calls sensitive."""
    texts = {
        language: words[language].format(
            recipient=recipient,
            purpose=Purpose(purpose).label(language),
            data=", ".join(Field(field).label(language) for field in data),
            version=version,
        )
        for language in ("vi", "en")
    }
    return NoticeText(
        f"{recipient}-2026-{version}", texts, {purpose}, data, recipient, SENSITIVE & set(map(Field, data))
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Register them."""
    parser = argparse.ArgumentParser(
        description="Register the words that the sample customers were shown, for good. DIIJAM_CONSENT_URL says where."
    )
    parser.parse_args(argv)
    try:
        with ConsentClient.from_env(actor="legal") as consent:
            registered = [consent.register_notice(text) for text in notices()]
    except (ConsentError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(f"{len(registered)} notices are registered, in Vietnamese and English")
    return 0


if __name__ == "__main__":
    sys.exit(main())

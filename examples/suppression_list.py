"""
Keep a mail provider's list true: whoever may be mailed is on it, and a no takes its customer off within moments.

    python examples/suppression_list.py --provider http://127.0.0.1:8025 --checkpoint mailer.checkpoint

Run one for each list, under a supervisor that starts it again. It asks for the scopes `list` and `ask:marketing`.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

import httpx

from diijam_consent_sdk import Channel, ConsentClient, Market
from diijam_consent_sdk.client.watch import Watched
from diijam_consent_sdk.errors import HistoryChanged, StoreUnavailable

MAIL = Market(Channel.EMAIL)


def keep_true(consent: ConsentClient, provider: httpx.Client, checkpoint: Path) -> None:
    """Take in everybody, then each change, for ever. The token is kept only after the provider took the item in."""
    token = checkpoint.read_text() if checkpoint.exists() else None
    while True:
        try:
            if token is None:
                provider.delete("/contacts").raise_for_status()  # nobody is on the list until everybody is known
            for item in consent.watch(MAIL, after=token):
                tell(provider, item)
                token = keep(checkpoint, item.token)
        except HistoryChanged:  # an older copy was restored: begin again with everybody
            token = None
        except (StoreUnavailable, httpx.HTTPError) as error:  # also a provider that refuses or is busy
            print(f"waiting: {type(error).__name__}", flush=True)
            time.sleep(1)


def tell(provider: httpx.Client, item: Watched) -> None:
    """Put a customer on the list or take one off. The id is in the body: in a path "c#y" would be another's id, "c"."""
    if item.decision:
        ends_at = item.until and item.until.isoformat()  # the provider's own row ends then
        provider.put("/contacts", json={"id": item.user_id, "ends_at": ends_at}).raise_for_status()
    else:
        provider.post("/contacts/remove", json={"id": item.user_id}).raise_for_status()


def keep(checkpoint: Path, token: str) -> str:
    """Replace the checkpoint whole: within the first list a token names a customer, so only its owner reads it."""
    new = checkpoint.with_suffix(".new")
    new.touch(mode=0o600)
    new.write_text(token)
    new.replace(checkpoint)
    return token


def main(argv: Sequence[str] | None = None) -> None:
    """Run until it is stopped."""
    parser = argparse.ArgumentParser(description="Keep a mail provider's list true.")
    parser.add_argument("--provider", required=True, help="the URL of the provider's API")
    parser.add_argument("--checkpoint", type=Path, required=True, help="a file that keeps how far it came")
    given = parser.parse_args(argv)
    with ConsentClient.from_env(actor="mailer") as consent, httpx.Client(base_url=given.provider) as provider:
        keep_true(consent, provider, given.checkpoint)


if __name__ == "__main__":
    main()

"""
Keep a mail provider's list true: whoever may be mailed is on it, and a no takes its customer off within moments.

    python examples/suppression_list.py --provider http://127.0.0.1:8025 --checkpoint mailer.checkpoint --holder mailer

Run one for each list, under a supervisor that starts it again. A second one on the same checkpoint ends with 2. It asks
for the scopes `list`, `ask:marketing` and, with `--holder`, `confirm`.
"""

from __future__ import annotations

import argparse
import fcntl  # POSIX; elsewhere use the locks of that system
import math
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from pathlib import Path

import httpx

from diijam_consent_sdk import Channel, ConsentClient, Market
from diijam_consent_sdk.client.watch import Watched
from diijam_consent_sdk.due import OwedErasure
from diijam_consent_sdk.errors import HistoryChanged, InvalidEvent, OutcomeUnknown, StoreUnavailable
from diijam_consent_sdk.events import ErasureConfirmed

MAIL = Market(Channel.EMAIL)
ERASURES_EVERY = 60.0  # seconds


class Copy:
    """The provider's list, with the checkpoint and the beat that are kept beside it."""

    def __init__(self, provider: httpx.Client, checkpoint: Path) -> None:
        self.provider = provider
        self.checkpoint = checkpoint
        self.beat = checkpoint.with_suffix(".beat")
        self.lock = threading.Lock()

    def begin(self) -> None:
        """Empty the list. Nobody is on it until everybody is known; nothing says that it is true."""
        with self.lock:
            self.checkpoint.unlink(missing_ok=True)
            self.beat.unlink(missing_ok=True)
        self.provider.delete("/contacts").raise_for_status()

    def take_in(self, item: Watched) -> None:
        """Put a customer on the list or take one off, and then keep the token."""
        # The id is in the body: in a path "c#y" would be another's id, "c".
        if item.decision:
            ends_at = item.until and item.until.isoformat()  # the provider's own row ends then
            self.provider.put("/contacts", json={"id": item.user_id, "ends_at": ends_at}).raise_for_status()
        else:
            self.provider.post("/contacts/remove", json={"id": item.user_id}).raise_for_status()
        replace(self.checkpoint, item.token)

    def keep_beat(self, caught_up_at: datetime) -> None:
        """Keep as of when the list is true, unless it was emptied since."""
        with self.lock:
            if self.checkpoint.exists():
                replace(self.beat, caught_up_at.isoformat())


def keep_true(consent: ConsentClient, copy: Copy) -> None:
    """Take in everybody, then each change, for ever."""
    token = copy.checkpoint.read_text() if copy.checkpoint.exists() else None
    while True:
        try:
            if token is None:
                copy.begin()
            for item in consent.watch(MAIL, after=token):
                copy.take_in(item)
                token = item.token
        except HistoryChanged:  # an older copy was restored: begin again with everybody
            token = None
        except (StoreUnavailable, httpx.HTTPError) as error:  # also a provider that refuses or is busy
            print(f"waiting: {type(error).__name__}", flush=True)
            time.sleep(1)


def keep_fresh(consent: ConsentClient, copy: Copy, holder: str | None) -> None:
    """Each second keep the beat; each minute confirm erasures. If this ends, so does the beat, and nobody sends."""
    confirm = None if holder is None else confirming(consent, holder)
    while True:
        looked_at, status = time.monotonic(), consent.status()
        if status.watch_caught_up_at is not None and status.watch_lag_seconds is not None:
            copy.keep_beat(status.watch_caught_up_at)
            if confirm is not None:
                with suppress(StoreUnavailable, OutcomeUnknown):  # tried again
                    confirm(looked_at - status.watch_lag_seconds)  # no wall clock: somebody may set it
        time.sleep(1)


def confirming(consent: ConsentClient, holder: str) -> Callable[[float], None]:
    """Make a function that confirms what the holder owes once the list is true as of a later instant."""
    owed: list[OwedErasure] = []
    known_at = -math.inf

    def confirm(caught_up: float) -> None:
        nonlocal owed, known_at
        while owed and caught_up > known_at:  # the watch has taken all of them off
            with suppress(InvalidEvent):  # that erasure ended: the account was opened again, or the request cancelled
                consent.record(owed[-1].user_id, ErasureConfirmed(holder, owed[-1].began_at))
            owed.pop()
        if not owed and time.monotonic() - known_at >= ERASURES_EVERY:
            owed = [erasure for erasure in consent.erasures(holder) if not erasure.kept]
            known_at = time.monotonic()

    return confirm


def may_send(beat: Path, now: datetime) -> bool:
    """
    Whether the list was true less than a minute ago. Whoever sends calls this before each mail. A beat from the future
    tells of a clock that was set back, and not that the daemon lives.
    """
    try:
        caught_up_at = datetime.fromisoformat(beat.read_text())
    except FileNotFoundError:
        return False
    return abs(now - caught_up_at) < timedelta(minutes=1)


def replace(path: Path, text: str) -> None:
    """Replace a file whole. Within the first list a token names a customer, so only the file's owner reads it."""
    new = path.with_name(path.name + ".new")
    new.touch(mode=0o600)
    with new.open("w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())  # else the file may be empty after a power cut
    new.replace(path)


@contextmanager
def alone(checkpoint: Path) -> Iterator[bool]:
    """
    Lock a file beside the checkpoint, which is itself replaced, and give whether no other daemon has it: the slower of
    two would put a customer on the list whom the other one took off, and both would go on after the no.
    """
    path = checkpoint.with_name(checkpoint.name + ".lock")
    path.touch(mode=0o600)
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True  # until the process ends, however it ends


def main(argv: Sequence[str] | None = None) -> None:
    """Run until it is stopped."""
    parser = argparse.ArgumentParser(description="Keep a mail provider's list true.")
    parser.add_argument("--provider", required=True, help="the URL of the provider's API")
    parser.add_argument("--checkpoint", type=Path, required=True, help="a file that keeps how far it came")
    parser.add_argument("--holder", help="the name under which the list is registered as a holder, if it is")
    given = parser.parse_args(argv)
    with (
        alone(given.checkpoint) as is_alone,
        ConsentClient.from_env(actor="mailer") as consent,
        httpx.Client(base_url=given.provider) as provider,
    ):
        if not is_alone:
            parser.error(f"another daemon uses {given.checkpoint}: wait until it ends, or stop it")
        copy = Copy(provider, given.checkpoint)
        threading.Thread(target=keep_fresh, args=(consent, copy, given.holder), daemon=True).start()
        keep_true(consent, copy)


if __name__ == "__main__":
    main()

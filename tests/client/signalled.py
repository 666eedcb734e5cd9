"""
A client whose main thread is interrupted again and again by a signal handler that raises, and what is left of it:
`python -m tests.client.signalled 20000`. Prints what it did; exits 1 if anything is left behind.
"""

from __future__ import annotations

import random
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable

from diijam_consent_sdk import ConsentClient, Market, Reason
from diijam_consent_sdk import events as e
from diijam_consent_sdk.errors import ConsentError
from diijam_consent_sdk.stores import MemoryStore
from tests.client.conftest import thread_pool

SIGNED_UP = (e.AccountOpened(), e.Granted("marketing", notice="promo", channels={"email"}))
LONGEST = 0.0015  # seconds from one act to the signal that interrupts it, at most


class Interrupt(BaseException):
    """What the handler raises."""


def eventually(holds: Callable[[], bool], within: float = 10.0) -> bool:
    """Whether it comes to hold in time."""
    until = time.monotonic() + within
    while not holds():
        if time.monotonic() > until:
            return False
        time.sleep(0.01)
    return True


def ours() -> list[threading.Thread]:
    """The threads of clients."""
    return [thread for thread in threading.enumerate() if thread.name == "diijam-consent"]


class Storm:
    """The signals, and what they interrupt."""

    def __init__(self, client: ConsentClient, token: str) -> None:
        self.client = client
        self.raised = self.too_late = 0
        self.is_acting = False
        self.interrupted: Counter[int] = Counter()
        self.known: list[str] = []
        self.acts: list[Callable[[str], object]] = [
            lambda user_id: client.can_market(user_id, "email"),
            lambda user_id: list(client.users([user_id, "u", f"{user_id}-too"])),
            lambda user_id: client.permitted_mask([user_id, f"{user_id}-too"], Market("email")),
            lambda _: client.load("u"),
            lambda _: client.user("u", at_least=token),
            lambda _: client.record("w", e.Objected("surveys")),
        ]

    def handle(self, *_: object) -> None:
        """The handler."""
        if self.is_acting:
            self.is_acting = False  # raising once is enough: what catches it is not interrupted
            self.raised += 1
            raise Interrupt

    def blow(self, signals: int) -> None:
        """Act, and be interrupted so many times."""
        number = 0
        signal.signal(signal.SIGALRM, self.handle)
        while self.raised < signals:
            number += 1
            which = random.randrange(len(self.acts))
            self.known[:] = [*self.known[-8:], f"n{number}"]
            try:
                self.is_acting = True
                signal.setitimer(signal.ITIMER_REAL, random.uniform(1e-6, LONGEST))
                self.act(which, f"n{number}")
                self.is_acting = False
            except Interrupt:
                self.interrupted[which] += 1
        signal.setitimer(signal.ITIMER_REAL, 0)

    def act(self, which: int, user_id: str) -> None:
        """One call of the client."""
        try:
            self.acts[which](user_id)
        except ConsentError:
            self.too_late += 1


def left_behind(client: ConsentClient) -> list[str]:
    """What is not as it was before, once the client was asked again."""
    engine, single_flight, said = client._own_engine, client._own_engine._single_flight, []
    for number in range(20):
        if not eventually(lambda: client.can_market("u", "email").reason is Reason.CONSENTED):
            said.append("a user is unavailable for good")
        if not eventually(lambda: client.can_market(f"later{number}", "email").reason is Reason.UNKNOWN_USER):  # noqa: B023
            said.append("a user is unavailable for good")
    if not eventually(lambda: not (single_flight._in_flight or single_flight._by_user or single_flight._queue)):
        said.append(f"{len(single_flight._in_flight)} loads, for {len(single_flight._by_user)} users")
    pool = thread_pool(client)
    if not eventually(lambda: not pool._queue and not pool._alive()):
        said.append(f"{len(pool._queue)} calls that wait, {len(pool._alive())} workers")
    if not eventually(lambda: not engine._writes and not engine.leases._writes):
        said.append(f"{len(engine._writes)} writes")
    if not eventually(lambda: not engine.leases._fetches):
        said.append(f"{len(engine.leases._fetches)} fetches")
    if not eventually(lambda: len(ours()) <= 1):
        said.append(f"{len(ours()) - 1} threads")
    return said


def main(signals: int) -> int:
    """The storm, beside two threads that ask for the same users, and what is left."""
    store = MemoryStore()
    token = store.append("u", SIGNED_UP).token
    store.append("w", SIGNED_UP)
    began = time.monotonic()
    with ConsentClient(store, max_staleness=4, deadline=1) as client:
        storm, is_over = Storm(client, token), threading.Event()

        def ask() -> None:
            while not is_over.is_set():
                for user_id in list(storm.known):
                    client.can_market(user_id, "email")
                time.sleep(0.0005)

        askers = [threading.Thread(target=ask, daemon=True) for _ in range(2)]
        for asker in askers:
            asker.start()
        storm.blow(signals)
        is_over.set()
        for asker in askers:
            asker.join(10)
        said = left_behind(client) + [f"an asker hangs: {asker}" for asker in askers if asker.is_alive()]
    if not eventually(lambda: not ours()):
        said.append(f"{len(ours())} threads after the close")
    took = time.monotonic() - began
    by_act = dict(sorted(storm.interrupted.items()))
    sys.stdout.write(f"{storm.raised} signals in {took:.1f} s, by act {by_act}; {storm.too_late} calls too late\n")
    sys.stdout.write(f"left behind: {'; '.join(said) or 'nothing'}\n")
    sys.stdout.flush()
    return 1 if said else 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1])))

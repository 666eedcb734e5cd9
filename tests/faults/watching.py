"""Guards asked over and over, what they answered and when, and what must hold of all of it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import attrs

from diijam_consent_sdk import ConsentClient, Reason, UserConsent
from diijam_consent_sdk.stores import HttpStore, Store
from tests.client.conftest import SIGNED_UP, eventually
from tests.faults.conftest import Service

B = 1.0
DEADLINE = 0.3
SLACK = 0.3  # past its deadline, for a guard's answer
SOON = B + 2 * (B / 4 + DEADLINE)  # the bound and two polls: until the right answers are back
PAUSE_SECONDS = 0.005
CANARY_SECONDS = 0.01


@attrs.frozen
class Asked:
    """
    One question to two guards: one that looks the user up, and one of a user held since the beginning.

    `began` and `ended` are on the machine's monotonic clock, so that processes can be compared. `late` is how much of
    that time a thread that only sleeps was late too: the machine's fault, or of a signal that stopped the process.
    """

    pid: int
    began: float
    ended: float
    reason: str
    allowed: bool
    held: bool
    late: float


class Canary:
    """A thread that only sleeps, and tells how late it was woken in all."""

    def __init__(self) -> None:
        self._late = 0.0
        self._due = time.monotonic() + CANARY_SECONDS
        self._stopped = False
        threading.Thread(target=self._sleep, daemon=True).start()

    def lateness(self) -> float:
        """Seconds until now, the sleep under way included."""
        return self._late + max(0.0, time.monotonic() - self._due)

    def stop(self) -> None:
        """Let the thread end."""
        self._stopped = True

    def _sleep(self) -> None:
        while not self._stopped:
            time.sleep(max(0.0, self._due - time.monotonic()))
            now = time.monotonic()
            self._late += now - self._due
            self._due = now + CANARY_SECONDS


def ask_on(
    consent: ConsentClient, held: UserConsent, tell: Callable[[Asked], None], is_over: Callable[[], bool], pid: int = 0
) -> None:
    """Ask until it is over. What a guard raises is raised."""
    canary = Canary()
    try:
        while not is_over():
            late, began = canary.lateness(), time.monotonic()
            decision = consent.can_market(held.user_id, "email")
            by_held = held.can_market("email")
            ended = time.monotonic()
            late = canary.lateness() - late
            tell(Asked(pid, began, ended, str(decision.reason), bool(decision), bool(by_held), late))
            time.sleep(PAUSE_SECONDS)
    finally:
        canary.stop()


@attrs.define
class Watch:
    """What was asked and answered so far."""

    asked: list[Asked] = attrs.field(factory=list)
    failures: list[BaseException] = attrs.field(factory=list)
    over: threading.Event = attrs.field(factory=threading.Event)

    def says(self, reason: Reason, pid: int = 0) -> bool:
        """Whether that was the last answer, of that process if there are several."""
        last = next((asked for asked in reversed(self.asked) if asked.pid == pid), None)
        return last is not None and last.reason == reason


@contextmanager
def watching(consent: ConsentClient, user_id: str) -> Iterator[Watch]:
    """Ask the user's guards in a separate thread, from a first yes on."""
    assert eventually(lambda: bool(consent.can_market(user_id, "email")), within=10)
    held, watch = consent.user(user_id), Watch()

    def work() -> None:
        try:
            ask_on(consent, held, watch.asked.append, watch.over.is_set)
        except BaseException as error:  # noqa: BLE001 - `check` raises it
            watch.failures.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield watch
    finally:
        watch.over.set()
        thread.join(20)


def check(watch: Watch, acknowledged: float) -> None:
    """No yes from B after the acknowledged no on, no guard slower than its deadline and the slack, none that raises."""
    assert not watch.failures, watch.failures
    assert watch.asked
    wrong = [asked for asked in watch.asked if (asked.allowed or asked.held) and asked.began >= acknowledged + B]
    assert not wrong, f"{len(wrong)} wrong yes, the last {wrong[-1].began - acknowledged:.3f} s after the no"
    slow = [asked for asked in watch.asked if asked.ended - asked.began - asked.late >= DEADLINE + SLACK]
    assert not slow, slow[0]


def comes_back(watch: Watch, reason: Reason, pids: Iterable[int] = (0,)) -> None:
    """The right answer is there within B and two polls; more only as far as this machine itself is late."""
    canary, until = Canary(), time.monotonic() + SOON
    try:
        for pid in pids:
            while not watch.says(reason, pid):
                assert time.monotonic() < until + canary.lateness(), watch.asked[-1]
                time.sleep(PAUSE_SECONDS)
    finally:
        canary.stop()


@contextmanager
def signed_up(store: Store, user_id: str) -> Iterator[Store]:
    """A store that is closed in the end, with a user in it who may be mailed."""
    store.append(user_id, SIGNED_UP)
    try:
        yield store
    finally:
        store.close()


def client_of(url: str, token: str | None = None) -> ConsentClient:
    """A client of that URL with the bound and the deadline of these tests."""
    return ConsentClient.from_url(url, token=token, max_staleness=B, deadline=DEADLINE)


def patient(service: Service) -> HttpStore:
    """The service's store, with a deadline that no busy machine exceeds."""
    return HttpStore(service.url, token=service.token, deadline=10)

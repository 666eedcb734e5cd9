"""
A program that asks one user's guards until it is stopped, and prints each answer as a line of JSON.

    python -m tests.faults.asking USER alone|fork|multiprocessing-fork|multiprocessing-spawn

The ledger is that of `DIIJAM_CONSENT_URL`. Every way but `alone` begins a second process once the first has its yes:
forked with the client and a user held, or spawned, with a new client. Both end when standard input does.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
from multiprocessing.process import BaseProcess

import attrs
import msgspec

from diijam_consent_sdk import ConsentClient, UserConsent
from tests.client.conftest import eventually
from tests.faults.watching import DEADLINE, Asked, B, ask_on


def tell(asked: Asked) -> None:
    """Say it at once, in one write: lines of several processes do not mix."""
    os.write(1, msgspec.json.encode(attrs.asdict(asked)) + b"\n")


def ready(user_id: str) -> tuple[ConsentClient, UserConsent]:
    """A client, and a user that it allows."""
    consent = ConsentClient.from_env(max_staleness=B, deadline=DEADLINE)
    assert eventually(lambda: bool(consent.can_market(user_id, "email")), within=20)
    return consent, consent.user(user_id)


def ask(consent: ConsentClient, held: UserConsent) -> None:
    """Ask until the parent process is gone or stops this one."""
    over = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: over.set())
    ask_on(consent, held, tell, over.is_set, os.getpid())
    consent.close()


def spawned(user_id: str) -> None:
    """What a spawned child does: nothing is inherited."""
    ask(*ready(user_id))


def forked(consent: ConsentClient, held: UserConsent) -> int:
    """A plain fork; the child's process id."""
    child = os.fork()
    if not child:
        try:
            ask(consent, held)
        except BaseException as error:  # noqa: BLE001 - nothing of the parent's may run in the child
            sys.stderr.write(f"{type(error).__name__}: {error}\n")
            os._exit(1)
        os._exit(0)
    return child


def main(user_id: str, way: str) -> int:
    """Ask, in one process or two."""
    consent, held = ready(user_id)
    child = 0
    process: BaseProcess | None = None
    match way:
        case "fork":
            child = forked(consent, held)
        case "multiprocessing-fork":
            process = multiprocessing.get_context("fork").Process(target=ask, args=(consent, held))
        case "multiprocessing-spawn":
            process = multiprocessing.get_context("spawn").Process(target=spawned, args=(user_id,))
    if process:
        process.start()
    over = threading.Event()
    asking = threading.Thread(target=ask_on, args=(consent, held, tell, over.is_set, os.getpid()))
    asking.start()
    sys.stdin.read()
    over.set()
    asking.join()
    status: int | None = 0
    if child:
        os.kill(child, signal.SIGTERM)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if process:
        process.terminate()
        process.join()
        status = process.exitcode
    consent.close()
    return 1 if status is None else status


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

"""What is shown with the feed up, as functions: how soon a no is everywhere, and what staying fresh costs."""

from __future__ import annotations

import os
import random
import re
import subprocess
import sys
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import attrs
import httpx

from diijam_consent_sdk import ConsentClient
from diijam_consent_sdk import events as e
from diijam_consent_sdk.client import Options
from diijam_consent_sdk.stores import Store
from tests.client.conftest import SIGNED_UP
from tests.faults.conftest import Service

REQUESTS = re.compile(
    r'^diijam_consent_requests_total\{method="POST",path="([^"]*)",status="\d+"\} (\S+)$', re.MULTILINE
)


@contextmanager
def seer(**environment: str) -> Iterator[Callable[..., str]]:
    """Run `tests.faults.seeing` in a separate process; the callable sends a line if given one, else reads one."""
    program = [sys.executable, "-m", "tests.faults.seeing"]
    with subprocess.Popen(
        program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={**os.environ, **environment}
    ) as process:
        assert process.stdin
        assert process.stdout
        given, said = process.stdin, process.stdout

        def say(line: str = "") -> str:
            if not line:
                return said.readline().strip()
            given.write(line + "\n")
            given.flush()
            return ""

        try:
            yield say
        except BaseException:
            process.kill()
            raise


def latencies(store: Store, processes: int, rounds: int, **environment: str) -> list[float]:
    """
    Seconds from the acknowledgement of a withdrawal until each of the processes gave the right answer by itself.

    Args:
        store: What the withdrawals are written to, from this process.

        processes: How many client processes watch, each with the user in its memory.

        rounds: How many withdrawals.

        environment: Where the clients find the ledger.

    Returns:
        One figure for each process and round. One below zero: seen before the writer had its answer.
    """
    took: list[float] = []
    with ExitStack() as stack:
        seers = [stack.enter_context(seer(**environment)) for _ in range(processes)]
        for _ in range(rounds):
            user_id = f"u-{uuid.uuid4()}"
            store.append(user_id, SIGNED_UP)
            for seer_ in seers:
                seer_(user_id)
            assert {seer_() for seer_ in seers} == {"ready"}
            time.sleep(random.uniform(0.1, 0.3))  # every client's poll is under way again
            store.append(user_id, [e.Withdrawn("marketing")])
            acknowledged = time.monotonic()
            took += [float(seer_()) - acknowledged for seer_ in seers]
    return took


@attrs.frozen
class Freshness:
    """What it took to keep users fresh for a while, and how many were in the end."""

    users: int
    seconds: float
    requests: Counter[str]
    fresh: int


def freshness(service: Service, user_ids: list[str], max_staleness: float) -> Freshness:
    """
    Load users who may be mailed, wait until their leases ended, and ask about each: only the feed keeps them fresh.

    Args:
        service: Counts the requests that it answered meanwhile.

        user_ids: The users' ids.

        max_staleness: The bound, in seconds, and a little more how long it takes.
    """
    options: Options = {"max_staleness": max_staleness, "capacity": len(user_ids), "deadline": 10}
    with ConsentClient.from_url(service.url, token=service.token, **options) as consent:
        held = list(consent.users(user_ids))
        assert all(user.can_market("email") for user in held), "not all were loaded"
        before, began = counted(service), time.monotonic()
        time.sleep(max_staleness * 1.02)
        fresh = len([user_id for user_id in user_ids if consent.can_market(user_id, "email")])
        return Freshness(len(user_ids), time.monotonic() - began, counted(service) - before, fresh)


def counted(service: Service) -> Counter[str]:
    """The requests that the service has answered, by path."""
    text = httpx.get(f"{service.url}/metrics", timeout=20).text
    counts: Counter[str] = Counter()
    for path, number in REQUESTS.findall(text):
        counts[path] += int(float(number))
    return counts

"""The client's process is forked, spawned or stopped: no yes past the bound in any of its processes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import attrs
import pytest

from diijam_consent_sdk import Reason
from diijam_consent_sdk import events as e
from tests.client.conftest import eventually
from tests.faults.conftest import Service
from tests.faults.watching import Asked, B, Watch, check, comes_back, patient, signed_up


@attrs.define
class Program(Watch):
    """`tests.faults.asking` in a separate process."""

    process: subprocess.Popen[str] = attrs.field(kw_only=True)

    def pids(self) -> set[int]:
        """The processes that have said something."""
        return {asked.pid for asked in list(self.asked)}

    def read(self) -> None:
        """Read the program's answers."""
        assert self.process.stdout
        for line in self.process.stdout:
            self.asked.append(Asked(**json.loads(line)))

    def end(self) -> int:
        """Have it end; its status."""
        assert self.process.stdin
        self.process.stdin.close()
        return self.process.wait(20)


@contextmanager
def asking(way: str, processes: int, service: Service, user_id: str) -> Iterator[Program]:
    """The program, once all its processes answer."""
    environment = {**os.environ, "DIIJAM_CONSENT_URL": service.url, "DIIJAM_CONSENT_TOKEN": service.token}
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.faults.asking", user_id, way],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment,
    )  # fmt: skip
    program = Program(process=process)
    reader = threading.Thread(target=program.read, daemon=True)
    reader.start()
    try:
        assert eventually(lambda: len(program.pids()) == processes, within=20), process.poll()
        yield program
        assert program.end() == 0
    finally:
        process.kill()
        process.wait()
        reader.join(20)
        for stream in (process.stdin, process.stdout):
            assert stream
            stream.close()


@pytest.mark.parametrize("way", ["fork", "multiprocessing-fork", "multiprocessing-spawn"])
@pytest.mark.parametrize("is_up", [True, False], ids=["service up", "service frozen"])
def test_a_client_with_children(way: str, is_up: bool, own_service: Service, user_id: str) -> None:
    """Parent and child both obey a no, with the service there and without it, and both end well."""
    with (
        signed_up(patient(own_service), user_id) as store,
        asking(way, 2, own_service, user_id) as program,
    ):
        for pid in program.pids():
            assert eventually(lambda pid=pid: program.says(Reason.CONSENTED, pid)), pid  # type: ignore[misc]
        store.append(user_id, [e.Withdrawn("marketing")])
        acknowledged = time.monotonic()
        if not is_up:
            own_service.signal(signal.SIGSTOP)
            time.sleep(1.5 * B)
            own_service.signal(signal.SIGCONT)
        comes_back(program, Reason.WITHDRAWN, program.pids())
        time.sleep(max(0.0, acknowledged + 1.2 * B - time.monotonic()))
    check(program, acknowledged)


@pytest.mark.parametrize("is_up", [True, False], ids=["service up", "service frozen"])
def test_a_client_that_was_stopped_for_longer_than_the_bound(is_up: bool, own_service: Service, user_id: str) -> None:
    """The first answer afterwards, like all others, is not a yes on the state before."""
    with (
        signed_up(patient(own_service), user_id) as store,
        asking("alone", 1, own_service, user_id) as program,
    ):
        program.process.send_signal(signal.SIGSTOP)
        store.append(user_id, [e.Withdrawn("marketing")])
        acknowledged = time.monotonic()
        if not is_up:
            own_service.signal(signal.SIGSTOP)
        time.sleep(1.5 * B)
        program.process.send_signal(signal.SIGCONT)
        time.sleep(B / 4)
        if not is_up:
            own_service.signal(signal.SIGCONT)
        comes_back(program, Reason.WITHDRAWN, program.pids())
    check(program, acknowledged)
    assert any(asked.began > acknowledged + 1.4 * B for asked in program.asked)

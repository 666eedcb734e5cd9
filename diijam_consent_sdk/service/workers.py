"""
The worker processes of one service: they share one listening socket, and one that ends is started again.

The kernel gives a connection to whichever worker accepts it first, so a worker that is busy gets fewer, and what waits
to be accepted outlives a worker. The parent never opens the store; it has no thread, so forking it is safe.
"""

from __future__ import annotations

import gc
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkProcess
from types import FrameType

import attrs

from .._logging import log
from ..status import cause_of
from ..stores._retry import backoff
from .server import GRACE_SECONDS

LEAST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.1, 10.0  # before a worker that ended is started again
STEADY_SECONDS = 30.0  # after which a worker's earlier ends count no more
STOP_SECONDS = GRACE_SECONDS + 5.0  # for a worker to end, before it is killed
FORCED_SECONDS = 2.0  # the same after a second signal

Work = Callable[[int, Callable[[], None], Callable[[], bool]], None]


@attrs.define(eq=False)
class Worker:
    """One place for a process, and the process that has it."""

    number: int
    process: ForkProcess | None = None
    ready: Connection | None = None  # readable once the process accepts connections
    failures: int = 0  # ends in a row, each soon after the start
    at: float = 0.0  # when the process was started, or is to be


class Workers:
    """
    The workers of a service, from the first start to the last end. For the main thread of a process that has no other.

    Args:
        count: How many there are.

        work: Called in each worker with its number, what to call once it accepts connections, and what tells that it is
            to stop.

        on_listening: Called once the first worker accepts connections.

        on_end: Called with the number of each worker that ended.

        on_stop: Called once no more connections are to be accepted.
    """

    def __init__(
        self,
        count: int,
        work: Work,
        *,
        on_listening: Callable[[], None],
        on_end: Callable[[int], None],
        on_stop: Callable[[], None],
    ) -> None:
        self._workers = [Worker(number) for number in range(count)]
        self._work = work
        self._on_listening: Callable[[], None] | None = on_listening
        self._on_end = on_end
        self._on_stop = on_stop
        self._signals = 0
        # A worker sees its end of this pipe close when it is to stop, or when this process was killed.
        self._lifeline, self._our_lifeline = os.pipe()
        self._wake_up, self._signalled = os.pipe()

    def run(self) -> None:
        """Run the workers until SIGINT, SIGTERM or SIGHUP; a second signal ends them at once."""
        gc.collect()
        gc.freeze()  # what the workers share is not copied for its reference counts by their collections
        stops_at: float | None = None
        with self._signals_caught():
            while stops_at is None or self._running():
                if stops_at is None:
                    self._start_due()
                self._wait(stops_at)
                if self._signals and stops_at is None:
                    self._on_stop()
                    os.close(self._our_lifeline)
                    stops_at = time.monotonic() + STOP_SECONDS
                elif self._signals > 1 and stops_at is not None:
                    self._signals = 1
                    self._kill(signal.SIGTERM)
                    stops_at = min(stops_at, time.monotonic() + FORCED_SECONDS)
                if stops_at is not None and time.monotonic() >= stops_at:
                    self._kill(signal.SIGKILL)

    @contextmanager
    def _signals_caught(self) -> Iterator[None]:
        numbers = [signal.SIGINT, signal.SIGTERM]
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # nohup
            numbers.append(signal.SIGHUP)
        before = {number: signal.signal(number, self._note) for number in numbers}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _note(self, _: int, __: FrameType | None) -> None:
        self._signals += 1
        os.write(self._signalled, b"!")

    def _running(self) -> list[Worker]:
        return [worker for worker in self._workers if worker.process is not None]

    def _kill(self, number: signal.Signals) -> None:
        for worker in self._running():
            if worker.process is not None and worker.process.pid is not None:
                with suppress(ProcessLookupError):
                    os.kill(worker.process.pid, number)

    def _start_due(self) -> None:
        for worker in self._workers:
            if worker.process is None and worker.at <= time.monotonic():
                self._start(worker)

    def _start(self, worker: Worker) -> None:
        worker.at = time.monotonic()
        try:
            worker.process = self._fork(worker)
        except OSError as error:  # no memory, process or file is left just now: the others go on
            self._plan_start(worker)
            log.error("service.worker_not_started", worker=worker.number, error=type(error).__name__)
            return
        log.info("service.worker_started", worker=worker.number, pid=worker.process.pid)

    def _fork(self, worker: Worker) -> ForkProcess:
        worker.ready, ready = multiprocessing.Pipe(duplex=False)
        # A daemon: should this process fail, it ends its workers.
        process = multiprocessing.get_context("fork").Process(
            target=self._begin, args=(worker.number, ready), daemon=True
        )
        try:
            process.start()
        except OSError:
            worker.ready.close()
            worker.ready = None
            raise
        finally:
            ready.close()
        return process

    def _wait(self, until: float | None) -> None:
        """Wait for a signal, for a worker that is ready or ended, or until one is to be started or killed."""
        running = self._running()
        due = [worker.at for worker in self._workers if worker.process is None] if until is None else [until]
        timeout = max(0.0, min(due) - time.monotonic()) if due else None
        sentinels = {worker.process.sentinel: worker for worker in running if worker.process is not None}
        pipes = {worker.ready: worker for worker in running if worker.ready is not None}
        for found in wait([self._wake_up, *sentinels, *pipes], timeout):
            if found == self._wake_up:
                os.read(self._wake_up, 1)
            elif isinstance(found, int):
                self._end(sentinels[found], is_stopping=until is not None)
            elif isinstance(found, Connection) and pipes[found].ready is found:  # else that worker just ended
                self._hear(pipes[found], found)

    def _hear(self, worker: Worker, ready: Connection) -> None:
        """Note that a worker accepts connections; a pipe that closed says nothing."""
        worker.ready = None
        with ready, suppress(EOFError):
            ready.recv()
            if self._on_listening is not None:
                self._on_listening()
                self._on_listening = None

    def _end(self, worker: Worker, *, is_stopping: bool) -> None:
        """Note that a worker ended, and plan its next start."""
        assert worker.process is not None
        worker.process.join()
        pid, status = worker.process.pid, worker.process.exitcode
        worker.process.close()
        worker.process = None
        if worker.ready is not None:
            worker.ready.close()
            worker.ready = None
        self._on_end(worker.number)
        if is_stopping:
            return
        pause = self._plan_start(worker)
        log.error("service.worker_ended", worker=worker.number, pid=pid, status=status, again_in=round(pause, 1))

    def _plan_start(self, worker: Worker) -> float:
        """Plan the next start of a worker, and return the seconds until then."""
        worker.failures = 0 if time.monotonic() - worker.at > STEADY_SECONDS else worker.failures + 1
        pause = backoff(worker.failures, longest=LONGEST_PAUSE_SECONDS, least=LEAST_PAUSE_SECONDS)
        worker.at = time.monotonic() + pause
        return pause

    def _begin(self, number: int, ready: Connection) -> None:
        """Run in the worker: do its work, and end when the parent says so or ends."""
        for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(each) == self._note:
                signal.signal(each, signal.SIG_DFL)
        os.close(self._our_lifeline)
        is_over = threading.Event()
        threading.Thread(target=_follow, args=(self._lifeline, is_over), daemon=True).start()
        try:
            self._work(number, lambda: ready.send(None), is_over.is_set)
        except Exception as error:  # noqa: BLE001 - the parent starts another one, whatever it was
            log.error("service.worker_failed", worker=number, error=type(error).__name__, cause=cause_of(error))
            sys.exit(1)


def _follow(lifeline: int, is_over: threading.Event) -> None:
    """Wait until the parent closes its end of the lifeline; then leave the worker its time to end."""
    os.read(lifeline, 1)
    is_over.set()
    time.sleep(STOP_SECONDS)
    os._exit(1)

"""The third driver beside threads and tasks: it runs the same steps in virtual time."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from diijam_consent_sdk._threads import Late, Lost, Promise
from diijam_consent_sdk.client.effects import Call, Sleep, Steps, Wait

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.simulator.client import SimClient


class Driver:
    """Runs the steps of one client. Nothing is resumed from within another's step: each resumption is an event."""

    def __init__(self, client: SimClient) -> None:
        self._client = client
        self.stopped = False
        self._alive: dict[Steps[Any], Promise[Any]] = {}

    def spawn(self, steps: Steps[Any]) -> Promise[Any]:
        """Run *steps* beside everything else."""
        if not self._client.is_starved():
            return self.run(steps)
        lost: Promise[Any] = Promise()
        lost.set_exception(Lost("can't start new thread"))
        return lost

    def run(self, steps: Steps[Any]) -> Promise[Any]:
        """Run *steps* as a caller's thread does."""
        future: Promise[Any] = Promise()
        self._alive[steps] = future
        self._later(0, steps.send, None, steps, future)
        return future

    def end_loop(self) -> None:
        """The event loop ends with all its tasks, and another one begins."""
        for steps, future in list(self._alive.items()):
            del self._alive[steps]
            self._client.executing(lambda steps: steps.close(), steps)
            future.set_exception(Lost("its event loop ended"))

    def stop(self) -> None:
        """End every sleep that begins from now on."""
        self.stopped = True

    def runs(self, name: str) -> bool:
        """Whether steps of this name are under way."""
        return any(getattr(steps, "__name__", "") == name for steps in self._alive)

    def end(self) -> None:
        """The process is no more."""
        while self._alive:
            with suppress(RuntimeError):
                self._alive.popitem()[0].close()

    def _later(
        self, seconds: float, resume: Callable[[Any], Any], outcome: Any, steps: Steps[Any], future: Promise[Any]
    ) -> None:
        delay = seconds + self._client.pause()
        self._client.later(delay, lambda: self._resume(resume, outcome, steps, future))

    def _resume(self, resume: Callable[[Any], Any], outcome: Any, steps: Steps[Any], future: Promise[Any]) -> None:
        if steps not in self._alive:  # its event loop ended
            return
        try:
            wanted = self._client.executing(resume, outcome)
        except StopIteration as end:
            self._alive.pop(steps, None)
            future.set_result(end.value)
        except Exception as error:  # noqa: BLE001 - it is the waiter's
            self._alive.pop(steps, None)
            future.set_exception(error)
        else:
            self._perform(wanted, steps, future)

    def _perform(self, wanted: Call | Wait | Sleep, steps: Steps[Any], future: Promise[Any]) -> None:
        if isinstance(wanted, Call):

            def answered(answer: object) -> None:
                failed = isinstance(answer, Exception)
                self._resume(steps.throw if failed else steps.send, answer, steps, future)

            self._client.network.call(self._client, wanted, answered)
        elif isinstance(wanted, Sleep):
            self._later(0 if self.stopped else wanted.seconds, steps.send, None, steps, future)
        else:
            self._wait(wanted, steps, future)

    def _wait(self, wanted: Wait, steps: Steps[Any], future: Promise[Any]) -> None:
        over = False

        def landed(done: Promise[Any]) -> None:
            nonlocal over
            if not over:
                over = True
                error = done.exception()
                resume, outcome = (steps.send, done.result()) if error is None else (steps.throw, error)
                self._later(0, resume, outcome, steps, future)

        def late() -> None:
            nonlocal over
            left = wanted.until - self._client.monotonic()
            if over:
                return
            if left > 1e-9:
                self._client.later(left, late)
            else:
                over = True
                self._later(0, steps.throw, Late(), steps, future)

        if wanted.promise.done():
            landed(wanted.promise)
        else:
            wanted.promise.add_done_callback(landed)
            self._client.later(max(0.0, wanted.until - self._client.monotonic()), late)

"""The third runner, beside threads and tasks: runs the same effects in virtual time."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from diijam_consent_sdk._threads import Lost, Promise, WaitTimeout
from diijam_consent_sdk.client.effects import Effect, Effects, LimitedSpawn, Sleep, StoreCall, Wait
from diijam_consent_sdk.client.limiter import Limiter
from diijam_consent_sdk.client.thread_pool import ThreadPool

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.simulator.client import SimClient


class SimRunner:
    """Runs the effects of one client. Nothing is resumed from within another's step: each resumption is an event."""

    def __init__(self, client: SimClient) -> None:
        self._client = client
        self.stopped = False
        self._alive: dict[Effects[Any], Promise[Any]] = {}

    def spawn(self, effects: Effects[Any]) -> Promise[Any]:
        """Run *effects* in the background."""
        if not self._client.is_starved():
            return self.run(effects)
        lost: Promise[Any] = Promise()
        lost.set_exception(Lost("can't start new thread"))
        return lost

    def run(self, effects: Effects[Any]) -> Promise[Any]:
        """Run *effects* as a caller's thread does."""
        future: Promise[Any] = Promise()
        self._alive[effects] = future
        self._later(0, effects.send, None, effects, future)
        return future

    def limit(self, most: int) -> LimitedSpawn:
        """As one of the other runners does: for threads, or for tasks."""
        return (ThreadPool if self._client.number % 2 else Limiter)(most, self.spawn).spawn

    def end_loop(self) -> None:
        """The event loop ends with all its tasks, and another one begins."""
        for effects, future in list(self._alive.items()):
            del self._alive[effects]
            with self._client.executing():
                effects.close()
                future.set_exception(Lost("its event loop ended"))

    def stop(self) -> None:
        """End every sleep that begins from now on."""
        self.stopped = True

    def runs(self, name: str) -> bool:
        """Whether a generator of this qualified name is under way."""
        return any(getattr(effects, "__qualname__", "") == name for effects in self._alive)

    def end(self) -> None:
        """End the process."""
        while self._alive:
            with suppress(RuntimeError):
                self._alive.popitem()[0].close()

    def _later(
        self, seconds: float, resume: Callable[[Any], Any], outcome: Any, effects: Effects[Any], future: Promise[Any]
    ) -> None:
        delay = seconds + self._client.pause()
        self._client.later(delay, lambda: self._resume(resume, outcome, effects, future))

    def _resume(self, resume: Callable[[Any], Any], outcome: Any, effects: Effects[Any], future: Promise[Any]) -> None:
        if effects not in self._alive:  # its event loop ended
            return
        with self._client.executing():
            self._step(resume, outcome, effects, future)

    def _step(self, resume: Callable[[Any], Any], outcome: Any, effects: Effects[Any], future: Promise[Any]) -> None:
        try:
            effect = resume(outcome)
        except StopIteration as end:
            self._alive.pop(effects, None)
            future.set_result(end.value)
        except Exception as error:  # noqa: BLE001 - it is the waiter's
            self._alive.pop(effects, None)
            future.set_exception(error)
        else:
            self._perform(effect, effects, future)

    def _perform(self, effect: Effect, effects: Effects[Any], future: Promise[Any]) -> None:
        if isinstance(effect, StoreCall):

            def answered(answer: object) -> None:
                failed = isinstance(answer, Exception)
                self._resume(effects.throw if failed else effects.send, answer, effects, future)

            self._client.network.call(self._client, effect, answered)
        elif isinstance(effect, Sleep):
            self._later(0 if self.stopped else effect.seconds, effects.send, None, effects, future)
        else:
            self._wait(effect, effects, future)

    def _wait(self, wanted: Wait, effects: Effects[Any], future: Promise[Any]) -> None:
        over = False

        def landed(done: Promise[Any]) -> None:
            nonlocal over
            if not over:
                over = True
                error = done.exception()
                resume, outcome = (effects.send, done.result()) if error is None else (effects.throw, error)
                self._later(0, resume, outcome, effects, future)

        def late() -> None:
            nonlocal over
            left = wanted.until - self._client.monotonic()
            if over:
                return
            if left > 1e-9:
                self._client.later(left, late)
            else:
                over = True
                self._later(0, effects.throw, WaitTimeout(), effects, future)

        if wanted.promise.done():
            landed(wanted.promise)
        else:
            wanted.promise.add_done_callback(landed)
            self._client.later(max(0.0, wanted.until - self._client.monotonic()), late)

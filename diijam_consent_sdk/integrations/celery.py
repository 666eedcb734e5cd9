"""
A Celery task that asks again when it runs, since a task queued after a yes may run hours later, after a no.

    @app.task(base=ConsentTask, consent=client, ask=Market("email"))
    def send_promotion(user_id: str, promotion: str) -> None: ...
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, ClassVar

from .._extras import needs_extra

with needs_extra("the Celery task", "celery", "celery"):
    from celery import Task, states
    from celery.exceptions import Ignore, TaskRevokedError
    from celery.result import EagerResult

from ..client import ConsentClient
from ..decisions import NOT_ENTITLED, UNANSWERED, Ask, Decision
from ..errors import ConsentDenied

if TYPE_CHECKING:
    Base = Task[Any, Any]
else:
    Base = Task  # not generic at run time


DECIDED = "_diijam_consent_decided"  # of the request that a worker runs


class _Refused(Ignore):
    """The customer refused. The argument is the reason."""


class ConsentTask(Base):
    """
    A task about one user, which runs only if that user allows it at that moment.

    A customer's no ends the task as revoked, with the reason, so it is not retried and its follow-ups do not run. In an
    outage (`UNAVAILABLE`, `STALE`) the task is retried later, and fails with `ConsentDenied` after `max_retries`. If
    the service's token is not for the ask (`NOT_ENTITLED`), it fails at once, since only another token helps. Called as
    a plain function, it raises `ConsentDenied`.

    Attributes:
        consent: The client that is asked each time. Make it where the task is defined, since a client may be forked.

        ask: What the task does with the user's data; or override `ask_for`.

        user_id_argument: The argument of the task that names the user.
    """

    abstract = True
    consent: ClassVar[ConsentClient | None] = None
    ask: ClassVar[Ask | None] = None
    user_id_argument: ClassVar[str] = "user_id"

    def ask_for(self, arguments: dict[str, Any]) -> Ask:
        """
        Return what to ask before the task runs with these arguments.

        Raises:
            TypeError: the task lacks an ask.
        """
        if self.ask is None:
            raise TypeError(f"{self.name} says not what to ask: pass ask=Market(...) or override ask_for")
        return self.ask

    def decide(self, *args: Any, **kwargs: Any) -> Decision:
        """
        Decide whether the task may run with these arguments.

        Raises:
            TypeError: the task lacks a client, an ask, or an argument that names the user.
        """
        if self.consent is None:
            raise TypeError(f"{self.name} has nobody to ask: pass consent=ConsentClient...")
        bound = inspect.signature(self.run).bind(*args, **kwargs)
        bound.apply_defaults()
        if self.user_id_argument not in bound.arguments:
            raise TypeError(f"{self.name} has no argument {self.user_id_argument}: pass user_id_argument=...")
        return self.consent.decide(bound.arguments[self.user_id_argument], self.ask_for(bound.arguments))

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        request = self.request
        # The task may call itself, about another user, while it runs.
        is_direct = request.called_directly or getattr(request, DECIDED, False)
        if not is_direct:
            setattr(request, DECIDED, True)
        decision = self.decide(*args, **kwargs)
        if not decision:
            self._stop(decision, is_direct=is_direct)
        return self.run(*args, **kwargs)

    def apply(self, *args: Any, **options: Any) -> EagerResult[Any]:
        """Run the task at once, as Celery does; a customer's no gives a revoked task there too, not an ignored one."""
        result = super().apply(*args, **options)
        if not isinstance(result.result, _Refused):
            return result
        return EagerResult(result.id, TaskRevokedError(str(result.result)), states.REVOKED, name=self.name)

    def _stop(self, decision: Decision, *, is_direct: bool) -> None:
        denied = ConsentDenied(decision)
        if is_direct or decision is NOT_ENTITLED:
            raise denied
        if decision.reason in UNANSWERED:
            raise self.retry(exc=denied)
        if not self.request.is_eager or self.store_eager_result:
            self.backend.mark_as_revoked(str(self.request.id), str(decision.reason), self.request)
        raise _Refused(str(decision.reason))

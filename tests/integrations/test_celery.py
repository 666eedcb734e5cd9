"""Celery: eager, and by a real worker over a broker in memory."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from typing import Any

import pytest
from celery import Celery, chain
from celery.contrib.testing.worker import start_worker
from celery.exceptions import Ignore, TaskRevokedError

from diijam_consent_sdk import Market, Share
from diijam_consent_sdk.decisions import NOT_ENTITLED, Ask, Decision
from diijam_consent_sdk.errors import ConsentDenied
from diijam_consent_sdk.events import Withdrawn
from diijam_consent_sdk.integrations.celery import ConsentTask
from diijam_consent_sdk.testing import ConsentForTests


@pytest.fixture
def app() -> Iterator[Celery]:
    """An application that runs its tasks at once."""
    app = Celery("shop", broker="memory://", backend="cache+memory://", set_as_current=False)
    app.conf.task_always_eager = True
    yield app
    app.close()


@pytest.fixture
def sent() -> list[str]:
    """The users who were mailed."""
    return []


@pytest.fixture
def mail(app: Celery, consent: ConsentForTests, sent: list[str]) -> Any:
    """A task that mails a user."""

    @app.task(base=ConsentTask, consent=consent, ask=Market("email"), max_retries=2, default_retry_delay=0)
    def mail(user_id: str, promotion: str = "autumn") -> str:
        sent.append(user_id)
        return promotion

    return mail


def test_a_yes(mail: Any, sent: list[str]) -> None:
    """The task runs, however the user is named, and gives what it gives."""
    assert mail.delay("u-1").get() == "autumn"
    assert mail.delay(promotion="winter", user_id="u-1").get() == "winter"
    assert mail("u-1") == "autumn"
    assert sent == ["u-1"] * 3


def test_a_no(mail: Any, sent: list[str], consent: ConsentForTests) -> None:
    """The task does not run and nothing is retried; called as a function, it raises."""
    consent.record("u-1", Withdrawn("marketing"))
    result = mail.delay("u-1")
    assert result.state == "REVOKED"
    with pytest.raises(TaskRevokedError, match="withdrawn"):
        result.get()
    with pytest.raises(ConsentDenied, match="withdrawn"):
        mail("u-1")
    assert sent == []


def test_the_store_is_out_of_reach(mail: Any, sent: list[str], consent: ConsentForTests) -> None:
    """Nobody's no is tried again, and fails in the end."""
    before = len(consent.store.calls)
    with consent.offline():
        result = mail.delay("u-3")
    assert result.state == "FAILURE"
    with pytest.raises(ConsentDenied, match="unavailable"):
        result.get()
    assert consent.store.calls[before:] == ["standings"] * 3
    assert sent == []


def test_an_ask_by_the_arguments(app: Celery, consent: ConsentForTests) -> None:
    """A task may ask about what it was called with, and name its user as it likes."""

    class Sharing(ConsentTask):
        """Shares what a customer agreed to."""

        user_id_argument = "customer"

        def ask_for(self, arguments: dict[str, Any]) -> Ask:
            """See `ConsentTask.ask_for`."""
            return Share(arguments["partner"], ["email"], "surveys")

    @app.task(base=Sharing, consent=consent)
    def share(customer: str, partner: str = "acme") -> str:
        return partner

    consent.agreed("u-1", "acme", ["email"], "surveys")
    assert share.delay("u-1").get() == "acme"
    assert str(share.delay("u-1", partner="bolt").result) == "not_notified"


def test_what_follows_a_no(app: Celery, mail: Any, consent: ConsentForTests) -> None:
    """Of a chain that runs at once, nothing goes on after a customer's no."""
    followed = []

    @app.task
    def follow(promotion: str) -> None:
        followed.append(promotion)

    chain(mail.s("u-1"), follow.s()).apply()
    consent.record("u-1", Withdrawn("marketing"))
    with pytest.raises(TaskRevokedError, match="withdrawn"):
        chain(mail.s("u-1"), follow.s()).apply()
    assert followed == ["autumn"]


def test_a_task_that_ignores_itself(app: Celery, consent: ConsentForTests) -> None:
    """What the task itself raises stays as it is."""

    @app.task(base=ConsentTask, consent=consent, ask=Market("email"))
    def skip(user_id: str) -> None:
        raise Ignore

    assert str(skip.delay("u-1").state) == "IGNORED"


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"ask": Market("email")}, "nobody to ask"),
        ({"consent": True}, "what to ask"),
        ({"consent": True, "ask": Market("email"), "user_id_argument": "who"}, "no argument who"),
    ],
    ids=["no client", "no ask", "no user"],
)
def test_a_task_that_cannot_ask(app: Celery, consent: ConsentForTests, options: dict[str, Any], complaint: str) -> None:
    """A task with nobody or nothing to ask never runs, and says what it lacks."""
    options = {**options, "consent": consent} if "consent" in options else options

    @app.task(base=ConsentTask, **options)
    def never(user_id: str) -> None:
        raise AssertionError

    with pytest.raises(TypeError, match=complaint):
        never.delay("u-1").get()


def test_a_queued_mail_dies_with_the_consent(app: Celery, mail: Any, sent: list[str], consent: ConsentForTests) -> None:
    """What was queued before a withdrawal is not sent by the worker that comes after it; the rest is."""
    app.conf.task_always_eager = False
    consent.opted_in("u-2", "email")
    queued = [mail.delay("u-1"), mail.delay("u-2")]
    consent.record("u-1", Withdrawn("marketing"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the worker's own, of its fork method and in-memory broker
        with start_worker(app, pool="solo", perform_ping_check=False, shutdown_timeout=20, loglevel=logging.WARNING):
            assert queued[1].get(timeout=20) == "autumn"
            with pytest.raises(TaskRevokedError, match="withdrawn"):
                queued[0].get(timeout=20)
    assert sent == ["u-2"]


def test_a_token_that_is_not_for_the_ask(mail: Any, sent: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """What no retry mends fails at once, and is no customer's no."""
    asked: list[str] = []

    def decide(_: ConsentForTests, user_id: str, __: Ask) -> Decision:
        asked.append(user_id)
        return NOT_ENTITLED

    monkeypatch.setattr(ConsentForTests, "decide", decide)
    result = mail.delay("u-1")
    assert result.state == "FAILURE"
    with pytest.raises(ConsentDenied, match="not_entitled"):
        result.get()
    assert (asked, sent) == (["u-1"], [])


def test_a_task_that_calls_itself_about_another_user() -> None:
    """The other one's no is raised to it, and ends it not: its own customer said yes."""
    with ConsentForTests() as consent:
        consent.opted_in("yes", "email")
        app, sent = Celery(set_as_current=False, backend="cache+memory://"), list[str]()

        @app.task(base=ConsentTask, consent=consent, ask=Market("email"))
        def send(user_id: str, also: str | None = None) -> str:
            sent.append(user_id)
            if also is not None:
                with pytest.raises(ConsentDenied):
                    send(also)
            return "done"

        done = send.apply(("yes", "no"))
        assert (done.state, done.result, sent) == ("SUCCESS", "done", ["yes"])

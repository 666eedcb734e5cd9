"""How clients are made, shared, forked and closed."""

from __future__ import annotations

import copy
import gc
import io
import pickle
import subprocess
import sys
import textwrap
import threading
import weakref
from math import inf, nan
from pathlib import Path
from typing import Any

import msgspec
import pytest
from rich.console import Console

from diijam_consent_sdk import ConsentClient, Market, Reason
from diijam_consent_sdk import events as e
from diijam_consent_sdk.client.limiter import NOT_BEGUN
from diijam_consent_sdk.errors import StoreUnavailable
from diijam_consent_sdk.stores import AsyncHttpStore, MemoryStore
from diijam_consent_sdk.testing import FaultyStore, LeaseClock
from tests.client.conftest import SIGNED_UP, eventually


def test_guards_in_one_step_answer_as_the_user_does() -> None:
    """Guards by id load and answer in one call, again after the lease is over."""
    clock = LeaseClock()
    with ConsentClient(MemoryStore(), follow=False, clock=clock) as consent:
        consent.record("u", *SIGNED_UP, e.Published("avatar"), e.Notified("n", "acme", {"username"}, "marketing"))
        consent.record("u", e.Agreed("n"), e.Restricted({"phone"}))
        for _ in range(2):
            assert consent.can_market("u", "email")
            assert consent.can_market("u", "email", data={"phone"}).reason is Reason.RESTRICTED
            assert consent.can_share("u", "acme", {"username"}, "marketing")
            assert consent.is_public("u", "avatar")
            assert consent.can_process("u", "payment").reason is Reason.RESTRICTED
            assert consent.can_process("u", "payment", data=iter(["email"]))
            assert consent.can_retain("u", "email").reason is Reason.IN_SERVICE
            assert consent.public_view("u", {"avatar": "a.png", "email": "x", "shoe": 44}) == {"avatar": "a.png"}
            assert consent.decide("u", Market("notification")).reason is Reason.NOT_CONSENTED
            clock.tick(60)


@pytest.mark.parametrize("bad", ["", "x" * 257, "a\x00b", "a\ud800", 5, None, b"u"], ids=ascii)
def test_a_malformed_id_is_a_mistake_that_is_not_repeated(bad: object) -> None:
    """Every operation raises `ValueError` or `TypeError`, and the text does not hold the id."""
    with ConsentClient(MemoryStore()) as consent:
        for ask in (
            lambda: consent.user(bad),  # type: ignore[arg-type]
            lambda: consent.can_market(bad, "email"),  # type: ignore[arg-type]
            lambda: consent.decide(bad, Market("email")),  # type: ignore[arg-type]
            lambda: consent.record(bad, e.AccountOpened()),  # type: ignore[arg-type]
            lambda: consent.load(bad),  # type: ignore[arg-type]
            lambda: consent.history(bad),  # type: ignore[arg-type]
            lambda: list(consent.users([bad])),  # type: ignore[list-item]
        ):
            with pytest.raises((ValueError, TypeError)) as mistake:
                ask()
            assert not isinstance(bad, str) or not bad or bad not in str(mistake.value)


@pytest.mark.parametrize("good", ["..", "x" * 256, "Nguyễn Thị Ánh", "🎵", "a b", "%2e", "'; --"])
def test_any_other_id_is_only_an_id(good: str, tmp_path: Path) -> None:
    """Whatever is printable names a user and nothing else."""
    with ConsentClient.from_url(f"sqlite:///{tmp_path}/c.db") as consent:
        consent.record(good, *SIGNED_UP)
        assert consent.can_market(good, "email")
        assert consent.load(good).user_id == good


def test_a_client_is_made_from_a_url(tmp_path: Path) -> None:
    """A client of a URL closes the store it made; the ledger stays."""
    url = f"sqlite:///{tmp_path}/consents.db"
    with ConsentClient.from_url(url, max_staleness=5, deadline=2) as consent:
        consent.record("u", *SIGNED_UP)
        store = consent._store
    with pytest.raises(StoreUnavailable, match="closed"):
        store.load([])
    with ConsentClient.from_url(url) as consent:
        assert consent.can_market("u", "email")
    with ConsentClient.from_url("memory:") as consent:
        assert consent.can_market("u", "email").reason is Reason.UNKNOWN_USER


@pytest.mark.parametrize("url", ["", "sqlite:", "sqlite:///", "mysql://me:secret@host/db", "consents.db", "sqlite://x"])
def test_a_url_that_names_no_store_is_a_mistake(url: str) -> None:
    """The error lists what is known and repeats nothing: a URL may hold a password."""
    with pytest.raises(ValueError, match="sqlite:///path") as mistake:
        ConsentClient.from_url(url)
    assert "secret" not in str(mistake.value)


def test_a_client_is_made_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """`DIIJAM_CONSENT_URL` names the store; without it the error names the variable."""
    monkeypatch.delenv("DIIJAM_CONSENT_URL", raising=False)
    with pytest.raises(ValueError, match="DIIJAM_CONSENT_URL is not set"):
        ConsentClient.from_env()
    monkeypatch.setenv("DIIJAM_CONSENT_URL", "memory:")
    with ConsentClient.from_env(capacity=5) as consent:
        assert not consent.can_market("u", "email")


@pytest.mark.parametrize(
    ("option", "error"),
    [
        ({"max_staleness": 0.9}, ValueError),
        ({"max_staleness": nan}, ValueError),
        ({"max_staleness": inf}, ValueError),
        ({"max_staleness": "60"}, TypeError),
        ({"max_staleness": True}, TypeError),
        ({"capacity": 0}, ValueError),
        ({"capacity": 1e5}, TypeError),
        ({"deadline": 0}, ValueError),
        ({"deadline": inf}, ValueError),
        ({"follow": "no"}, TypeError),
        ({"clock": None}, TypeError),
    ],
    ids=str,
)
def test_an_option_out_of_range_is_a_mistake(option: dict[str, Any], error: type[Exception]) -> None:
    """
    The bound is at least a second, the capacity a user, the deadline above zero, and all are finite; none of another
    type reads as an outage later.
    """
    with pytest.raises(error, match=next(iter(option))):
        ConsentClient(MemoryStore(), **option)


def test_no_thread_before_the_first_question() -> None:
    """Importing the library and making a client starts nothing."""
    code = """
        import threading
        from diijam_consent_sdk import ConsentClient
        consent = ConsentClient.from_url("memory:")
        assert threading.active_count() == 1, threading.enumerate()
        consent.can_market("u", "email")
    """
    run(code)


def test_an_interpreter_ends_without_close() -> None:
    """A program that does not close its client ends at once, also during a long poll."""
    code = """
        from diijam_consent_sdk import ConsentClient
        consent = ConsentClient.from_url("memory:")
        consent.can_market("u", "email")
    """
    run(code, timeout=5)


def test_a_client_works_in_functions_that_run_at_the_interpreters_exit() -> None:
    """
    Also in those that were registered before it was made, and so run last: nobody closed it. Python 3.12 may start no
    thread any more at that time: then they are told so.
    """
    program = """
        import atexit
        from diijam_consent_sdk import ConsentClient, Purpose, events
        from diijam_consent_sdk.errors import StoreUnavailable

        @atexit.register
        def end() -> None:
            try:
                print(consent.record("u-1", events.Withdrawn(Purpose.SURVEYS)).version)
            except StoreUnavailable as error:
                print(error)

        consent = ConsentClient.from_url("memory:")
        consent.is_public("u-1", "avatar")
    """
    command = [sys.executable, "-c", textwrap.dedent(program)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    known = {"1\n", *([f"{NOT_BEGUN}\n"] if sys.version_info[:2] == (3, 12) else [])}
    assert (done.stdout in known, done.stderr) == (True, "")


def test_the_follower_ends_with_a_client_that_nobody_closed() -> None:
    """A client that is gone leaves no thread polling for it."""
    store, before = FaultyStore(MemoryStore()), set(threading.enumerate())
    client = ConsentClient(store, max_staleness=1)
    client.user("u")
    assert eventually(lambda: "changes" in store.calls)
    leases, gone = client._own_engine.leases, weakref.ref(client)
    del client
    gc.collect()
    assert gone() is None
    assert leases.closed
    assert eventually(lambda: set(threading.enumerate()) <= before)


def test_what_is_shown_of_users_and_clients_names_nobody() -> None:
    """No `repr` holds an id: they end up in logs."""
    with ConsentClient.from_url("memory:") as consent:
        appended = consent.record("very-secret-id", *SIGNED_UP)
        shown = [consent, consent.user("very-secret-id"), appended, consent.load("very-secret-id")]
        shown += [consent.history("very-secret-id"), consent._store.changes(appended.cursor, wait=0)]
        assert "very-secret-id" not in repr(shown)
        printed = io.StringIO()
        Console(file=printed).print(*shown)
        assert "very-secret-id" not in printed.getvalue()


def test_a_user_is_not_copied(store: FaultyStore) -> None:
    """A user cannot be copied or pickled in any way, since no withdrawal would reach a copy."""
    with ConsentClient(store, follow=False) as consent:
        user = consent.user("u")
        assert copy.copy(user) is user
        assert copy.deepcopy(user) is user
        for make in (msgspec.structs.replace, pickle.dumps):
            with pytest.raises(TypeError, match="a UserConsent"):
                make(user)


CHILD = """
    import os, threading, time
    from diijam_consent_sdk import ConsentClient
    from diijam_consent_sdk.events import AccountOpened, Granted, Withdrawn
    {before}
    consent = ConsentClient.from_url("sqlite:///{path}")
    consent.record("u", AccountOpened(), Granted("surveys", notice="n"))
    held = consent.user("u")
    assert held.can_process("surveys")
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            {in_child}
            code = 0
        finally:
            os._exit(code)
    assert os.waitpid(pid, 0)[1] == 0
    assert held.can_process("surveys") or consent.can_process("u", "surveys")
    consent.record("u", Withdrawn("surveys"))
    assert not consent.can_process("u", "surveys")
    consent.close()
"""


@pytest.mark.parametrize(
    "in_child",
    [
        "assert held.can_process('surveys').reason == 'stale'; assert consent.can_process('u', 'surveys')",
        "consent.record('u', Granted('contests', notice='n')); assert consent.can_process('u', 'contests')",
        "consent.close(); assert consent.can_process('u', 'surveys').reason == 'unavailable'",
    ],
    ids=["asks", "writes", "closes"],
)
def test_a_forked_child_starts_empty_and_works(in_child: str, tmp_path: Path) -> None:
    """In a child, inherited users deny, new calls are answered, and the parent's client is unharmed."""
    run(CHILD.format(before="", path=tmp_path / "c.db", in_child=in_child))


def test_a_fork_whose_hooks_never_ran_is_safe(tmp_path: Path) -> None:
    """By its process id, a child starts empty on its first miss; users it inherited expire."""
    before = "os.register_at_fork = lambda **hooks: None"
    code = CHILD.format(
        before="",
        path=tmp_path / "c.db",
        in_child="assert consent.can_process('v', 'surveys').reason == 'unknown_user'; "
        "assert held.can_process('surveys').reason == 'stale'",
    )
    run(textwrap.indent("import os\n" + before, "    ") + code)


def test_a_closed_client_is_closed_in_a_child(tmp_path: Path) -> None:
    """A client that was closed before a fork is closed in the child."""
    code = f"""
        import os
        from diijam_consent_sdk import ConsentClient
        consent = ConsentClient.from_url("sqlite:///{tmp_path}/c.db")
        consent.close()
        pid = os.fork()
        if pid == 0:
            os._exit(consent.can_process("u", "payment").reason != "unavailable")
        assert os.waitpid(pid, 0)[1] == 0
    """
    run(code)


def test_forks_amid_many_calls_never_hang(tmp_path: Path) -> None:
    """Children forked while other threads load and write answer within their deadline, every one of them."""
    code = f"""
        import os, threading
        from diijam_consent_sdk import ConsentClient
        from diijam_consent_sdk.events import AccountOpened, Granted
        consent = ConsentClient.from_url("sqlite:///{tmp_path}/c.db", deadline=5)
        consent.record("u", AccountOpened(), Granted("surveys", notice="n"))
        done = threading.Event()
        def work(number):
            i = 0
            while not done.is_set():
                i += 1
                consent.user(f"{{number}}-{{i}}")
                if number == 0:
                    consent.record(f"w{{i}}", AccountOpened())
        threads = [threading.Thread(target=work, args=(number,)) for number in range(3)]
        for thread in threads: thread.start()
        for _ in range(20):
            pid = os.fork()
            if pid == 0:
                os._exit(not consent.can_process("u", "surveys"))
            assert os.waitpid(pid, 0)[1] == 0
        done.set()
        for thread in threads: thread.join()
        consent.close()
    """
    run(code)


def run(code: str, timeout: float = 60) -> None:
    """Run a program in another process, which must succeed in time."""
    program = [sys.executable, "-W", "error", "-W", "ignore::DeprecationWarning", "-c", textwrap.dedent(code)]
    done = subprocess.run(program, capture_output=True, text=True, timeout=timeout, check=False)
    assert done.returncode == 0, done.stderr
    assert not done.stdout, done.stdout


def test_two_processes_on_one_file_see_each_other(tmp_path: Path) -> None:
    """A client over a file sees what a client in another process wrote to it."""
    path = tmp_path / "c.db"
    with ConsentClient.from_url(f"sqlite:///{path}") as consent:
        assert consent.can_process("u", "surveys").reason is Reason.UNKNOWN_USER
        run(f"""
            from diijam_consent_sdk import ConsentClient
            from diijam_consent_sdk.events import AccountOpened, Granted
            with ConsentClient.from_url("sqlite:///{path}") as consent:
                consent.record("u", AccountOpened(), Granted("surveys", notice="n"))
        """)
        assert eventually(lambda: bool(consent.can_process("u", "surveys")), within=1)


@pytest.mark.parametrize("store", ["sqlite:///consents.db", None, MemoryStore])
def test_what_is_no_store_is_a_mistake(store: Any) -> None:
    """A URL in place of a store raises at once, rather than deny for ever."""
    with pytest.raises(TypeError, match="a store is needed"):
        ConsentClient(store)


def test_an_async_store_is_for_the_async_client() -> None:
    """Over a store of coroutines the sync client would never get an answer."""
    with pytest.raises(TypeError, match="for AsyncConsentClient"):
        ConsentClient(AsyncHttpStore("http://127.0.0.1:1"))

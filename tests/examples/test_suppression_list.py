"""A mail provider's list is kept true by a daemon that may die at any moment."""

from __future__ import annotations

import os
import random
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from diijam_consent_sdk import Channel, Field, HoldKind, Purpose, RequestKind
from diijam_consent_sdk import events as e
from diijam_consent_sdk.decisions import decide
from diijam_consent_sdk.service.scopes import Scope
from diijam_consent_sdk.service.token_changes import new_token
from diijam_consent_sdk.stores import PostgresStore, SqliteStore, Store
from diijam_consent_sdk.testing import ConsentForTests
from examples import suppression_list
from tests.service.conftest import running
from tests.stores.cluster import shared

from .provider import Provider, running_provider

PROGRAM = Path(suppression_list.__file__)
OPENED = e.AccountOpened()
YES = e.Granted(Purpose.MARKETING, "n-1", {Channel.EMAIL})
NO = e.Withdrawn(Purpose.MARKETING)
KILLS = int(os.environ.get("KILLS", "6"))  # 200 show more, and take minutes
CUSTOMERS = 12

Ledger = tuple[Store, dict[str, str]]  # the ledger to write to, and the environment of the daemon


@pytest.fixture(params=["sqlite", "postgres", "http"])
def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Ledger]:
    """An empty ledger of each kind."""
    if request.param == "postgres":
        url = shared().ledger()
        store: Store = PostgresStore(url, deadline=5)
        yield store, {"DIIJAM_CONSENT_URL": url}
        store.close()
        shared().give_back(url)
        return
    path = tmp_path / "ledger.db"
    with closing(SqliteStore(path, busy_seconds=5)) as store:
        if request.param == "sqlite":
            yield store, {"DIIJAM_CONSENT_URL": f"sqlite:///{path}"}
            return
        tokens = tmp_path / "tokens.json"
        token = new_token(tokens, "mailer", [Scope.LIST, Scope.ASK_MARKETING, Scope.CONFIRM])
        service = running(store, tokens)
        yield store, {"DIIJAM_CONSENT_URL": service.url, "DIIJAM_CONSENT_TOKEN": token}
        service.stop()


@pytest.fixture
def provider() -> Iterator[Provider]:
    """A provider with an empty list."""
    with running_provider() as provider:
        yield provider


@contextmanager
def daemon(
    environment: dict[str, str], provider: Provider, checkpoint: Path, *options: str, stderr: int | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """Run the daemon in a block; at its end it is killed, if it has not been."""
    command = [sys.executable, str(PROGRAM), "--provider", provider.url, "--checkpoint", str(checkpoint), *options]
    given = {**os.environ, **environment}
    with subprocess.Popen(command, env=given, stdout=subprocess.DEVNULL, stderr=stderr) as process:
        try:
            yield process
        finally:
            process.kill()


def permitted(store: Store) -> set[str]:
    """Who may be mailed, by the ledger."""
    loaded = store.load([f"u-{number}" for number in range(CUSTOMERS)])
    return {record.user_id for record in loaded.records if decide(record, suppression_list.MAIL, loaded.at)}


def until(holds: Callable[[], bool]) -> None:
    """Wait until something holds, for a while."""
    end = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_the_list_is_kept_true(ledger: Ledger, provider: Provider, tmp_path: Path) -> None:
    """
    Everybody who may be mailed is put on the list. A no, and an erasure request, take their customer off soon; the
    erasure is confirmed, and the beat lets the sender send.
    """
    store, environment = ledger
    checkpoint = tmp_path / "mailer.token"
    store.register_holder("mailer")
    for number in range(4):
        store.append(f"u-{number}", [OPENED, YES])
    with daemon(environment, provider, checkpoint, "--holder", "mailer"):
        until(lambda: set(provider.contacts) == {"u-0", "u-1", "u-2", "u-3"})
        store.append("u-2", [e.RequestFiled("q", RequestKind.ERASURE)])
        until(lambda: set(provider.contacts) == {"u-0", "u-1", "u-3"})

        def is_confirmed() -> bool:
            store.append("u-1", [NO])  # news, so that the watch looks again at once
            return not store.erasures("mailer").erasures

        until(is_confirmed)
        store.append("u-2", [e.Erased()])
        until(lambda: set(provider.contacts) == {"u-0", "u-3"})
        assert provider.changes[0] == "clear"
        assert stat.S_IMODE(checkpoint.stat().st_mode) == 0o600
        until(lambda: suppression_list.may_send(checkpoint.with_suffix(".beat"), datetime.now(UTC)))


def test_the_beat_is_that_of_this_list(provider: Provider, tmp_path: Path) -> None:
    """Nothing says that an emptied list is true until it is filled again; an old beat lets nobody send."""
    now = datetime.now(UTC)
    with httpx.Client(base_url=provider.url) as http, ConsentForTests() as consent:
        consent.opted_in("u-1", "email")
        copy = suppression_list.Copy(http, tmp_path / "mailer.token")
        copy.begin()
        copy.keep_beat(now)
        assert not suppression_list.may_send(copy.beat, now)
        copy.take_in(next(iter(consent.watch(suppression_list.MAIL))))
        copy.keep_beat(now)
        assert suppression_list.may_send(copy.beat, now + timedelta(seconds=59))
        assert not suppression_list.may_send(copy.beat, now + timedelta(seconds=60))
        assert not suppression_list.may_send(copy.beat, now - timedelta(hours=1))  # the clock was set back
        copy.begin()
        assert not suppression_list.may_send(copy.beat, now)


def test_an_erasure_is_confirmed_when_the_list_is_past_it() -> None:
    """Not before the watch has taken the customer off, not while a hold keeps data, and not of who came back since."""
    with ConsentForTests() as consent:
        consent.register_holder("mailer")
        for user_id in ("asked", "held", "back", "again"):
            consent.given(user_id, OPENED, e.AccountClosed())
        consent.record("held", e.HoldPlaced("h", HoldKind.DEBT, {Field.EMAIL}))
        confirm = suppression_list.confirming(consent, "mailer")
        before = time.monotonic()
        confirm(before)
        consent.given("back", OPENED)
        consent.clock.tick(1)
        consent.given("again", OPENED, e.AccountClosed())  # the list may have got the customer in between
        confirm(before)
        assert {owed.user_id for owed in consent.erasures("mailer")} == {"asked", "held", "again"}
        confirm(time.monotonic())
        assert {owed.user_id for owed in consent.erasures("mailer")} == {"held", "again"}


def test_a_daemon_that_is_killed_misses_nobody(ledger: Ledger, provider: Provider, tmp_path: Path) -> None:
    """Killed at any moment, again and again, while customers change their minds, it has the truth in the end."""
    store, environment = ledger
    checkpoint, chance = tmp_path / "mailer.token", random.Random(7)
    for number in range(CUSTOMERS):
        store.append(f"u-{number}", [OPENED, YES])
    for _ in range(KILLS):
        with daemon(environment, provider, checkpoint) as process:
            end = time.monotonic() + chance.uniform(0.3, 1.2)
            while time.monotonic() < end:
                user_id = f"u-{chance.randrange(CUSTOMERS)}"
                store.append(user_id, [YES] if chance.random() < 0.5 else [NO])
                time.sleep(0.01)
            process.send_signal(signal.SIGKILL)
    with daemon(environment, provider, checkpoint):
        until(lambda: set(provider.contacts) == permitted(store))
        store.append("u-0", [NO])
        until(lambda: set(provider.contacts) == permitted(store))


def test_a_restored_copy(provider: Provider, tmp_path: Path) -> None:
    """After the ledger was restored to an older copy, the list is that of the copy."""
    path, copy, checkpoint = tmp_path / "ledger.db", tmp_path / "copy.db", tmp_path / "mailer.token"
    environment = {"DIIJAM_CONSENT_URL": f"sqlite:///{path}"}
    with closing(SqliteStore(path)) as store:
        store.append("u-0", [OPENED, YES])
    copy.write_bytes(path.read_bytes())
    with closing(SqliteStore(path)) as store:
        store.append("u-1", [OPENED, YES])
    with daemon(environment, provider, checkpoint):
        until(lambda: set(provider.contacts) == {"u-0", "u-1"})
    copy.replace(path)
    for suffix in ("-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    with daemon(environment, provider, checkpoint):
        until(lambda: set(provider.contacts) == {"u-0"})


def test_an_id_is_taken_as_it_is(provider: Provider, tmp_path: Path) -> None:
    """Ids with the signs of a URL are neither cut nor joined: "c" said no, and stays off while "c#y" is put on."""
    path = tmp_path / "ledger.db"
    yes = {"c#y", "b?x=1", "d/e", "f%41", "."}
    with closing(SqliteStore(path)) as store:
        for user_id in yes:
            store.append(user_id, [OPENED, YES])
        for user_id in ("b", "c", "d", "fA", ".."):
            store.append(user_id, [OPENED])
    with daemon({"DIIJAM_CONSENT_URL": f"sqlite:///{path}"}, provider, tmp_path / "mailer.token"):
        until(lambda: len(provider.changes) == 11)
    assert set(provider.contacts) == yes


def test_a_provider_that_refuses(provider: Provider, tmp_path: Path) -> None:
    """While the provider is busy or broken the daemon lives and waits, and then goes on with the item refused."""
    path = tmp_path / "ledger.db"
    provider.refusals = [429, 503]
    with closing(SqliteStore(path)) as store:
        store.append("u-0", [OPENED, YES])
    with daemon({"DIIJAM_CONSENT_URL": f"sqlite:///{path}"}, provider, tmp_path / "mailer.token") as process:
        until(lambda: set(provider.contacts) == {"u-0"})
        assert process.poll() is None


def test_one_daemon_at_a_time(provider: Provider, tmp_path: Path) -> None:
    """
    While a daemon hangs, another one on its checkpoint ends with 2: the slower would put a customer on the list whom
    the other took off. Once it is killed, the next one goes on.
    """
    path, checkpoint = tmp_path / "ledger.db", tmp_path / "mailer.token"
    environment = {"DIIJAM_CONSENT_URL": f"sqlite:///{path}"}
    with closing(SqliteStore(path)) as store:
        store.append("u-0", [OPENED, YES])
        with daemon(environment, provider, checkpoint) as hanging:
            until(lambda: set(provider.contacts) == {"u-0"})
            hanging.send_signal(signal.SIGSTOP)
            with daemon(environment, provider, checkpoint, stderr=subprocess.PIPE) as second:
                _, told = second.communicate(timeout=60)
            assert second.returncode == 2
            assert f"another daemon uses {checkpoint}" in told.decode()
        store.append("u-0", [NO])
        with daemon(environment, provider, checkpoint):
            until(lambda: not provider.contacts)

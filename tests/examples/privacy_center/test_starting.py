"""Starting the centre, and ending it: it leaves nothing behind."""

from __future__ import annotations

import importlib
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from diijam_consent_sdk.cli.app import app
from diijam_consent_sdk.events import AccountOpened
from diijam_consent_sdk.stores import MemoryStore, SqliteStore
from diijam_consent_sdk.vocabulary import Account
from examples.privacy_center.__main__ import main
from examples.privacy_center.customers import CHOSEN, customers, fill
from tests.examples.conftest import COMMITTED, batches

ROOT = Path(__file__).parents[3]


@contextmanager
def start(*arguments: str, **environment: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The centre in a separate process, and its address; killed if it still runs at the end."""
    with subprocess.Popen(
        [sys.executable, "-m", "examples.privacy_center", "--port", "0", *arguments],
        cwd=ROOT, env={**os.environ, **environment}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        try:
            assert process.stdout is not None
            yield process, re.findall(r"http://127\.0\.0\.1:\d+/", process.stdout.readline())[0]
        finally:
            process.kill()


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM], ids=str)
def test_start_and_stop(tmp_path: Path, how: signal.Signals) -> None:
    """It prints where it is, serves there, ends with 0 when stopped, and leaves no file."""
    with start(TMPDIR=str(tmp_path)) as (process, url):
        assert "Nguyễn Đình Đức" in httpx.get(url, trust_env=False).text
        assert list(tmp_path.glob("diijam-privacy-center-*/consents.db"))
        process.send_signal(how)
        _, errors = process.communicate(timeout=20)
    assert process.returncode == 0, errors
    assert errors == "\nStopped. Nothing is left behind.\n"
    assert not list(tmp_path.iterdir())


def test_ledger_of_your_own(tmp_path: Path) -> None:
    """With `--url` it shows that ledger's customers, and leaves it where it is."""
    path = tmp_path / "consents.db"
    store = SqliteStore(path)
    store.append("u-1", [AccountOpened()])
    store.close()
    with start("--url", f"sqlite:///{path}", "--user", "u-1") as (process, url):
        with httpx.Client(base_url=url, trust_env=False, follow_redirects=True) as http:
            token = re.findall(r'name="_csrf_token" value="(\w+)"', http.get("/").text)[0]
            page = http.post("/sign-in", data={"_csrf_token": token, "who": "0"})
            assert page.status_code == 200
            assert "Khách hàng số 1" in page.text
            assert "đang chạy trên dữ liệu của bạn" in page.text
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=20)
    assert path.exists()


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--url", "nowhere:"], "names no store"),
        (["--url", "memory:", "--user", ""], "1 to 256 characters"),
        (["--port", "70000"], "from 0 to 65535"),
        (["--port", "many"], "invalid int value"),
    ],
    ids=str,
)
def test_cannot_start(arguments: list[str], complaint: str, capsys: pytest.CaptureFixture[str]) -> None:
    """What it cannot start with is said, and the exit code is 2."""
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert stopped.value.code == 2
    assert complaint in capsys.readouterr().err


def test_port_taken(capsys: pytest.CaptureFixture[str]) -> None:
    """If the port is taken, the message shows how to get another one."""
    with socket.create_server(("127.0.0.1", 0)) as other, pytest.raises(SystemExit) as stopped:
        main(["--port", str(other.getsockname()[1])])
    assert stopped.value.code == 2
    assert "is taken; take any that is free: make privacy-center PORT=0" in capsys.readouterr().err


def test_without_its_packages(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """If a package is missing, the message names the command that installs it."""
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    for importing in ("examples.privacy_center.__main__", "examples.centers.serving"):
        monkeypatch.delitem(sys.modules, importing)
    with pytest.raises(SystemExit) as stopped:
        importlib.import_module("examples.privacy_center.__main__")
    assert stopped.value.code == 2
    assert "make privacy-center" in capsys.readouterr().err


def test_help(capsys: pytest.CaptureFixture[str]) -> None:
    """`--help` shows how to start the centre on another ledger, and who can open it."""
    with pytest.raises(SystemExit) as stopped:
        main(["--help"])
    assert stopped.value.code == 0
    out = capsys.readouterr().out
    assert all(words in out for words in ("make privacy-center", "--url sqlite:///", "127.0.0.1", "Exit code"))
    (shown,) = re.findall(r"diijam-consent (record .*)", out)
    app.parse_args(shlex.split(shown), print_error=False, exit_on_error=False)
    event, *options = shlex.split(shown)[2:]
    assert (event, options) == ("Withdrawn", ["--purpose", "marketing"])


def test_chosen_customers(tmp_path: Path, full: MemoryStore) -> None:
    """The ledger it makes has the chosen customers' events as the data has them, in time, ending in the past."""
    fill(tmp_path / "consents.db")
    store = SqliteStore(tmp_path / "consents.db")
    given = dict(batches(COMMITTED))
    histories = {user_id: store.history(user_id) for user_id in CHOSEN}
    accounts = {user_id: store.load([user_id]).records[0].account for user_id in CHOSEN}
    store.close()
    for user_id, history in histories.items():
        if accounts[user_id] is not Account.ERASED:
            assert [entry.event for entry in history] == given[user_id]
            assert history == sorted(history, key=lambda entry: entry.at)
    assert accounts == {user_id: full.load([user_id]).records[0].account for user_id in CHOSEN}
    assert [customer.name for customer in customers()].count(None) == 1  # nobody names an erased one

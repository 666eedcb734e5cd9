"""`diijam-consent entries`."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from contextlib import closing

from diijam_consent_sdk import events as e
from diijam_consent_sdk.stores import SqliteStore
from diijam_consent_sdk.testing import unreachable
from tests.cli.conftest import MAILABLE, Cli, Ledger
from tests.cli.fakes import FailingStore


def test_the_ledger_in_order(mailable: Ledger, cli: Cli) -> None:
    """Each entry is a line of JSON with the token to go on from; `--after` goes on behind it."""
    with closing(SqliteStore(mailable.path)) as store:
        token = store.append("u-2", MAILABLE).token
        total = store.load([]).cursor.position
    lines = [json.loads(line) for line in cli("entries").out.splitlines()]
    assert [line["position"] for line in lines] == list(range(1, total + 1))
    assert lines[-1]["token"] == token
    assert lines[-1]["event"]["type"] == type(MAILABLE[-1]).__name__
    rest = cli("entries", "--after", lines[0]["token"])
    assert (rest.status, [json.loads(line) for line in rest.out.splitlines()]) == (0, lines[1:])
    assert cli("entries", "--after", token).out == ""


def test_a_token_of_another_history(mailable: Ledger, cli: Cli) -> None:
    """It is refused with what to do, and nothing is printed: nobody skips in silence."""
    result = cli("entries", "--after", f"{'0' * 32}.1.{'ab' * 32}")
    assert (result.status, result.out) == (2, "")
    assert "begin again without --after" in result.err


def test_no_token(mailable: Ledger, cli: Cli) -> None:
    """What is no token at all is a mistake."""
    result = cli("entries", "--after", "yesterday")
    assert (result.status, result.out) == (2, "")
    assert result.err == "error: --after is no token: pass a token as it was printed\n"


def test_a_store_that_is_away(failing: FailingStore, cli: Cli) -> None:
    """Without `--follow` it is status 2."""
    failing.failures["changes"] = unreachable()
    result = cli("entries", "--url", "https://consent.example/")
    assert (result.status, result.out) == (2, "")


def test_following(mailable: Ledger) -> None:
    """New entries come as they are written, until a signal ends it."""
    command = [
        sys.executable,
        "-m",
        "diijam_consent_sdk.cli",
        "entries",
        "--follow",
        "--url",
        f"sqlite:///{mailable.path}",
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        with closing(SqliteStore(mailable.path)) as store:
            for _ in range(store.load([]).cursor.position):
                process.stdout.readline()
            written = store.append("u-2", [e.AccountOpened()])
            assert json.loads(process.stdout.readline())["token"] == written.token
        process.send_signal(signal.SIGTERM)  # SIGINT may be ignored where the tests were started
        assert process.wait(60) == 128 + signal.SIGTERM

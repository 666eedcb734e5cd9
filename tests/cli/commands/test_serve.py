"""The consent service and its tokens, by the command line."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import time
from pathlib import Path

import httpx
import pytest

from diijam_consent_sdk.service.scopes import Scope
from diijam_consent_sdk.service.tokens import TokenFile
from tests.cli.conftest import Cli, Ledger, Start
from tests.cli.test_processes import done, without

TOKEN_NEW = ("token", "new", "--tokens", "tokens.json", "--name", "orders")
NAMED = ("--name", "orders", "--scope", "read")


@pytest.fixture
def token(cli: Cli) -> str:
    """What `token new` printed: a token that may ask everything."""
    result = cli(*TOKEN_NEW, "--scope", "read", "--scope", "write")
    assert result.status == 0
    return result.out.removesuffix("\n")


def listening(process: subprocess.Popen[bytes]) -> str:
    """Read the URL that the service prints."""
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith(b"listening on http://127.0.0.1:"):
            return line.decode().split()[-1]
    raise AssertionError("it ended before it listened")


def test_a_token_is_alone_on_standard_output(token: str, cli: Cli) -> None:
    """`token new` prints the token, so that a shell can keep it, and tells people what it is on standard error."""
    result = cli(*TOKEN_NEW[:-1], "reader", "--scope", "read")
    other = result.out.removesuffix("\n")
    assert other.isprintable()
    known = TokenFile("tokens.json")
    found = [known.find(one) for one in (token, other)]
    assert [(entry.name, set(entry.scopes)) for entry in found if entry] == [
        ("orders", {Scope.READ, Scope.WRITE}), ("reader", {Scope.READ})
    ]  # fmt: skip
    assert (other in result.err, result.err.count("\n")) == (False, 1)
    assert "tokens.json" in result.err


def test_a_token_needs_a_name(cli: Cli) -> None:
    """The ledger's entries carry it, so none is made up."""
    made = cli("token", "new", "--tokens", "tokens.json", "--scope", "read")
    assert (made.status, made.out, Path("tokens.json").exists()) == (2, "", False)
    assert made.err.startswith("error: --name needs a value")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("token", "new", "--name", "orders", "--scope", "read"), "--tokens"),
        (TOKEN_NEW, "--scope"),
        ((*TOKEN_NEW, "--scope", "reed"), "read"),
        (("token", "new", "--tokens", "missing/tokens.json", *NAMED), "see that the path is right"),
        (("token", "new", "--tokens", "notes.txt", *NAMED), "notes.txt is no tokens file"),
        (("token", "now"), "see diijam-consent token"),
        (("serve",), "--tokens"),
        (("serve", "--tokens", "tokens.json"), "Give --url"),
        (("serve", "--url", "memory:", "--tokens", "tokens.json", "--port", "70000"), "65535"),
        (("serve", "--url", "memory:", "--tokens", "missing.json"), "make one with: diijam-consent token new"),
        (("serve", "--url", "memory:", "--tokens", "notes.txt"), "notes.txt is no tokens file"),
        (("serve", "--url", "memory:", "--tokens", "tokens.json", "--verify-every", "hourly"), "30m, 1h or 2d"),
    ],
    ids=" ".join,
)  # fmt: skip
def test_a_mistake_is_one_line(token: str, cli: Cli, arguments: tuple[str, ...], said: str) -> None:
    """Whatever is wrong is said in one line with what to do about it, and the status is 2."""
    Path("notes.txt").write_text("call the plumber")
    result = cli(*arguments)
    assert (result.status, result.out, result.err.count("\n")) == (2, "", 1)
    assert result.err.startswith("error: ")
    assert said in result.err


def test_a_taken_port_and_a_url_that_is_none_are_one_line(token: str, start: Start) -> None:
    """What is found out later, in the process that would serve, is said as plainly."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        taken = done(start("serve", "--url", "memory:", "--tokens", "tokens.json", "--port", port))
    assert (taken[0], taken[2].count("\n")) == (2, 1)
    assert f"error: cannot listen on 127.0.0.1 port {port}" in taken[2]
    none = done(start("serve", "--url", "mysql://me:secret@host", "--tokens", "tokens.json", "--port", "0"))
    assert (none[0], none[2].count("\n")) == (2, 1)
    assert none[2].startswith("error: this URL names no store")
    assert "secret" not in none[2]


def test_a_relay_does_not_verify(token: str, start: Start) -> None:
    """It has no ledger, and says where the option belongs."""
    relay = ("serve", "--url", "http://127.0.0.1:1", "--tokens", "tokens.json", "--port", "0", "--verify-every", "1h")
    status, out, err = done(start(*relay))
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert err.startswith(
        "error: a relay has no ledger to verify: give --verify-every to the service over the database"
    )


def test_it_verifies_from_its_start_on(mailable: Ledger, token: str, start: Start) -> None:
    """The first walk does not wait for the time that `--verify-every` gives."""
    process = start("serve", "--tokens", "tokens.json", "--port", "0", "--verify-every", "1h")
    assert process.stderr is not None
    line = next(line for line in process.stderr if b"service.ledger_verified" in line)
    assert json.loads(line)["position"] == 2


@pytest.fixture
def serving(mailable: Ledger, token: str, start: Start) -> subprocess.Popen[bytes]:
    """A service over that ledger."""
    return start("serve", "--tokens", "tokens.json", "--port", "0")


def test_the_command_line_over_a_service(
    serving: subprocess.Popen[bytes], token: str, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other commands work on the service as they do on its file, and say so of a token that it does not know."""
    monkeypatch.setenv("DIIJAM_CONSENT_URL", listening(serving))
    monkeypatch.setenv("DIIJAM_CONSENT_TOKEN", token)
    assert cli("check", "u-1", "market", "email").status == 0
    assert cli("record", "u-1", "Withdrawn", "--purpose", "marketing").status == 0
    assert cli("check", "u-1", "market", "email").status == 1
    assert cli("permitted", "market", "email", stdin=b"u-1\n").out == ""
    assert "Withdrawn" in cli("history", "u-1").out
    assert "run verify where its database is" in cli("verify").err
    monkeypatch.setenv("DIIJAM_CONSENT_TOKEN", "dcs_unknown")
    refused = cli("check", "u-1", "market", "email")
    assert (refused.status, "status 401: no token was sent, or one it does not know" in refused.err) == (2, True)
    monkeypatch.setenv(
        "DIIJAM_CONSENT_TOKEN", cli(*TOKEN_NEW[:-1], "writer", "--scope", "write").out.removesuffix("\n")
    )
    give_up = time.monotonic() + 10  # the service looks at the file twice a second
    while "status 401" in (refused := cli("check", "u-1", "market", "email")).err and time.monotonic() < give_up:
        time.sleep(0.05)
    assert (refused.status, "the token of writer lacks the scope read" in refused.err) == (2, True)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_is_an_end_in_good_order(serving: subprocess.Popen[bytes], token: str, number: signal.Signals) -> None:
    """Stopped, or with its terminal closed, the service writes the access lines, then that it stopped, no more."""
    url, question = listening(serving), {"nonce": "n" * 16, "user_ids": []}
    httpx.post(f"{url}/v1/records/load", json=question, headers={"authorization": f"Bearer {token}"})
    serving.send_signal(number)
    code, out, err = done(serving)
    *lines, last = err.splitlines()
    assert (code, out, last) == (0, "", "stopped")
    (told,) = (line for line in map(json.loads, lines) if line["event"] == "service.request")
    assert (told["token"], told["status"], told["level"]) == ("orders", 200, "info")


def test_it_outlives_its_terminal_if_it_is_to(token: str, start: Start) -> None:
    """Where SIGHUP is ignored, as under nohup, it goes on."""
    process = start("serve", "--url", "memory:", "--tokens", "tokens.json", "--port", "0", nohup=True)
    listening(process)
    process.send_signal(signal.SIGHUP)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.3)
    process.send_signal(signal.SIGTERM)
    assert done(process)[0] == 0


@pytest.mark.parametrize("module", ["litestar", "uvicorn", "prometheus_client"])
def test_without_the_extra(token: str, module: str) -> None:
    """Without the extra `serve` says how to get it; making tokens does not need it."""
    result = without(module, "serve", "--url", "memory:", "--tokens", "tokens.json")
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr == "error: serving needs its extra: pip install 'diijam-consent-sdk[service]'\n"
    assert without(module, *TOKEN_NEW[:-1], "reader", "--scope", "read").returncode == 0


def test_tokens_are_listed_rotated_and_revoked(cli: Cli, token: str) -> None:
    """`token list` shows names, scopes and ends, no secret; `rotate` prints the new token alone; `revoke` removes."""
    rotated = cli("token", "rotate", "orders", "--tokens", "tokens.json", "--keep", "2h")
    assert (rotated.status, rotated.out.startswith("dcs_"), rotated.out == token + "\n") == (0, True, False)
    listed = cli("token", "list", "--tokens", "tokens.json")
    head, first, second = listed.out.splitlines()
    assert head.split() == ["NAME", "CREATED", "ENDS", "SCOPES"]
    assert first.split()[0] == second.split()[0] == "orders"
    assert ("never" in first, "never" in second, first.endswith("read write")) == (False, True, True)
    assert token not in listed.out
    shown = json.loads(cli("token", "list", "--tokens", "tokens.json", "--json").out)["tokens"]
    assert [entry.keys() for entry in shown] == [{"name", "scopes", "created_at", "expires_at"}] * 2
    assert cli("token", "rotate", "orders", "--tokens", "tokens.json", "--keep", "soon").status == 2
    assert cli("token", "revoke", "orders", "--tokens", "tokens.json").status == 0
    assert cli("token", "list", "--tokens", "tokens.json").out.splitlines() == ["NAME  CREATED  ENDS  SCOPES"]
    again = cli("token", "revoke", "orders", "--tokens", "tokens.json")
    assert (again.status, "no token has this name" in again.err) == (2, True)


@pytest.mark.parametrize("end", ["2026-02-30", "tomorrow", "2031-01-01T00:00:00"])
def test_an_end_that_is_no_time(cli: Cli, end: str) -> None:
    """An end is a day or an instant with its time zone."""
    result = cli(*TOKEN_NEW, "--scope", "read", "--expires", end)
    assert (result.status, "--expires" in result.err) == (2, True)


def test_a_day_ends_a_token_as_it_begins(cli: Cli) -> None:
    """`--expires` with a day alone is that day's begin in UTC: the token is not valid on it."""
    assert cli(*TOKEN_NEW, "--scope", "read", "--expires", "2099-06-30").status == 0
    (shown,) = json.loads(cli("token", "list", "--tokens", "tokens.json", "--json").out)["tokens"]
    assert shown["expires_at"] == "2099-06-30T00:00:00Z"


@pytest.mark.parametrize("scope", Scope)
def test_every_scope_is_given_as_it_is_spelled_everywhere(scope: Scope, cli: Cli) -> None:
    """`--scope write:refusals` gives the scope that the pages, the file and the problem documents call so."""
    secret = cli(*TOKEN_NEW, "--scope", scope.value).out.removesuffix("\n")
    entry = TokenFile("tokens.json").find(secret)
    assert entry is not None
    assert set(entry.scopes) == {scope}

"""`diijam-consent ping`, on every kind of store."""

from __future__ import annotations

import json
import socket
import time
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from diijam_consent_sdk._tls import server_context
from diijam_consent_sdk.service.scopes import Scope
from diijam_consent_sdk.service.token_changes import new_token
from diijam_consent_sdk.stores import MemoryStore
from tests.certificates import Authority, needs_openssl
from tests.cli.conftest import Cli, Ledger
from tests.service.conftest import Running, running
from tests.stores.cluster import shared
from tests.stores.contract import eventually


@pytest.fixture
def tokens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A tokens file, one of whose tokens the environment holds."""
    path = tmp_path / "tokens.json"
    monkeypatch.setenv("DIIJAM_CONSENT_TOKEN", new_token(path, "ping", [Scope.READ]))
    return path


@pytest.fixture
def service(tokens: Path) -> Iterator[Running]:
    """A service over a store in memory."""
    one = running(MemoryStore(), tokens)
    yield one
    one.stop()


def sheet(text: str) -> dict[str, str]:
    """What is printed, by the word it begins with."""
    return dict(line.split(maxsplit=1) for line in text.splitlines())


def test_a_file_answers(mailable: Ledger, cli: Cli) -> None:
    """The ledger, how long a load takes and the clocks, and nothing written."""
    result = cli("ping")
    assert (result.status, result.err) == (0, "")
    said = sheet(result.out)
    assert list(said) == ["store", "reached", "token", "ledger", "load", "clock"]
    assert (said["store"], said["reached"], said["token"]) == (mailable.url, "yes", "none needed")
    assert said["ledger"] == "2 entries"
    assert mailable.entries() == 2


def test_json(mailable: Ledger, cli: Cli) -> None:
    """The same for machines, in seconds."""
    result = cli("ping", "--json")
    found = json.loads(result.out)
    assert (result.status, found["ok"], found["store"], found["position"]) == (0, True, mailable.url, 2)
    assert 0 < found["load_seconds"] < 3
    assert 0 < found["connect_seconds"] < 3
    assert abs(found["clock_seconds"]) < 1


def test_a_service_answers(service: Running, cli: Cli) -> None:
    """Over HTTP the output shows the token's name, scopes and end, and never the token."""
    result = cli("ping", "--url", service.url)
    assert (result.status, result.err) == (0, "")
    assert (sheet(result.out)["store"], sheet(result.out)["token"]) == (service.url, "ping, may read; ends never")
    assert "dcs_" not in result.out


def test_a_token_that_only_writes_answers(
    service: Running, tokens: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A token of least scope is reported as taken, although it may not learn where the ledger ends."""
    monkeypatch.setenv("DIIJAM_CONSENT_TOKEN", new_token(tokens, "notices", [Scope.WRITE_NOTICES]))
    assert eventually(
        lambda: not cli("ping", "--url", service.url).status
    )  # the service looks for new tokens twice a second
    said = cli("ping", "--url", service.url)
    assert (said.status, said.err) == (0, "")
    assert sheet(said.out)["token"] == "notices, may write:notices; ends never"
    assert sheet(said.out)["ledger"] == "not shown to this token"
    with urllib.request.urlopen(f"{service.url}/metrics") as metrics:
        assert b'refusals_total{token="scope"}' not in metrics.read()  # which would raise an alert
    found = json.loads(cli("ping", "--url", service.url, "--json").out)
    assert (found["ok"], found["position"]) == (True, None)
    assert abs(found["clock_seconds"]) < 60


def test_postgres_answers(cli: Cli) -> None:
    """A database answers too; its password, which stands in the URL, is not shown."""
    url = shared().database()
    try:
        failed = cli("ping", "--url", url)
        assert (failed.status, failed.out, "run diijam-consent init" in failed.err) == (2, "", True)
        assert cli("init", "--url", url).status == 0
        result = cli("ping", "--json", "--url", url)
        assert (result.status, json.loads(result.out)["position"]) == (0, 0)
        assert "@" not in json.loads(result.out)["store"]
        assert "?" not in json.loads(result.out)["store"]
    finally:
        shared().give_back(url)


@pytest.mark.parametrize(("hours", "said"), [(3, "ahead of"), (-3, "behind")])
def test_clocks_that_are_far_apart(tokens: Path, cli: Cli, hours: int, said: str) -> None:
    """The difference is shown, and a note explains what depends on it; the status stays 0."""
    one = running(MemoryStore(clock=lambda: datetime.now(UTC) + timedelta(hours=hours)), tokens)
    result = cli("ping", "--url", one.url)
    found = json.loads(cli("ping", "--url", one.url, "--json").out)
    one.stop()
    assert (result.status, result.err.count("\n")) == (0, 1)
    assert said in sheet(result.out)["clock"]
    assert abs(found["clock_seconds"] - hours * 3600) < 5
    assert result.err.startswith("note: the clocks are far apart")


@needs_openssl
def test_a_certificate_of_an_own_ca(tokens: Path, cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The CA is reported as unknown until `SSL_CERT_FILE` names the CA."""
    authority = Authority.made(tmp_path)
    one = running(MemoryStore(), tokens, tls=server_context(*authority.signed("service")))
    unknown = cli("ping", "--url", one.url)
    monkeypatch.setenv("SSL_CERT_FILE", authority.file)
    known = cli("ping", "--url", one.url)
    one.stop()
    assert (unknown.status, known.status, known.err) == (2, 0, "")
    assert "is not accepted (unable to get local issuer certificate)" in unknown.err


@pytest.mark.parametrize("as_json", [False, True])
def test_what_is_wrong_is_one_line(service: Running, cli: Cli, monkeypatch: pytest.MonkeyPatch, as_json: bool) -> None:
    """A wrong port, path and token, and a database that is not there: each with what to do, and status 2."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    wrong = {
        f"http://127.0.0.1:{port}": "nothing listens at",
        service.url + "/consent": "there is no consent service at this path",
        "sqlite:///missing.db": "there is no database missing.db",
        "http://consent.example": "plain http is only for this machine",
        "mysql://me:secret@host/x": "this URL names no store",
        "memory:": "a memory: ledger would be gone",
    }
    monkeypatch.setattr("diijam_consent_sdk.cli.commands.ping.DEADLINE_SECONDS", 0.3)
    for url, said in wrong.items():
        began = time.monotonic()
        result = cli("ping", "--url", url, *(["--json"] if as_json else []))
        assert time.monotonic() - began < 10
        assert (result.status, result.err.count("\n")) == (2, 1)
        assert said in result.err
        assert "secret" not in result.out + result.err
        if as_json:
            found = json.loads(result.out)
            assert (found["ok"], said in found["error"]) == (False, True)
        else:
            assert result.out == ""
    monkeypatch.setenv("DIIJAM_CONSENT_TOKEN", "dcs_unknown")
    refused = cli("ping", "--url", service.url, *(["--json"] if as_json else []))
    assert (refused.status, "status 401" in refused.err, "dcs_unknown" in refused.out + refused.err) == (2, True, False)


def test_silence_ends_soon(cli: Cli, tokens: Path) -> None:
    """A store that says nothing is given up after seconds."""
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        began = time.monotonic()
        result = cli("ping", "--url", f"http://127.0.0.1:{server.getsockname()[1]}")
    assert (result.status, "did not answer in time" in result.err) == (2, True)
    assert time.monotonic() - began < 10


def test_an_empty_environment(cli: Cli) -> None:
    """Without a URL the command asks for one."""
    assert "which ledger?" in cli("ping").err

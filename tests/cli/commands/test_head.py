"""`diijam-consent head`."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from diijam_consent_sdk.service.scopes import Scope
from diijam_consent_sdk.service.token_changes import new_token
from diijam_consent_sdk.stores import MemoryStore, SqliteStore
from diijam_consent_sdk.testing import unreachable
from tests.cli.conftest import MAILABLE, Cli, Ledger
from tests.cli.fakes import FailingStore
from tests.service.conftest import running


def test_head(mailable: Ledger, cli: Cli) -> None:
    """The token of the last append is printed, and nothing else."""
    with closing(SqliteStore(mailable.path)) as store:
        token = store.append("u-2", MAILABLE).token
    result = cli("head")
    assert (result.status, result.out, result.err) == (0, token + "\n", "")


def test_head_of_an_empty_ledger(ledger: Ledger, cli: Cli) -> None:
    """A ledger without an entry has a head as well."""
    assert cli("init").status == 0
    result = cli("head")
    assert (result.status, result.out.split(".")[1:]) == (0, ["0", "0" * 64 + "\n"])


def test_head_over_http(tmp_path: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """Behind a consent service it is the same."""
    tokens, store = tmp_path / "tokens.json", MemoryStore()
    monkeypatch.setenv("DIIJAM_CONSENT_TOKEN", new_token(tokens, "auditor", [Scope.READ]))
    head = store.append("u-1", MAILABLE).token
    service = running(store, tokens)
    try:
        assert cli("head", "--url", service.url).out == head + "\n"
    finally:
        service.stop()


def test_head_without_a_ledger(failing: FailingStore, cli: Cli) -> None:
    """A store that does not answer is status 2, with nothing on standard output."""
    failing.failures["changes"] = unreachable()
    result = cli("head", "--url", "https://consent.example/")
    assert (result.status, result.out, result.err.count("\n")) == (2, "", 1)

"""`diijam-consent init`."""

from __future__ import annotations

from pathlib import Path

from tests.cli.conftest import Cli


def test_a_ledger_is_made_and_used(cli: Cli, url: str) -> None:
    """After `init`, twice, the other commands work as on a file."""
    assert cli("check", "u-1", "market", "email", "--url", url).status == 2
    assert cli("init", "--url", url).out == cli("init", "--url", url).out == "the ledger is ready\n"
    assert cli("record", "u-1", "AccountOpened", "--url", url).status == 0
    assert cli("check", "u-1", "process", "payment", "--url", url).status == 0
    assert cli("verify", "--url", url).out.endswith("entries  1\n")


def test_init_makes_a_file_too(cli: Cli, tmp_path: Path) -> None:
    """A ledger in a file is made in the same way, and a service's is not."""
    assert cli("init", "--url", f"sqlite:///{tmp_path}/new.db").status == 0
    assert (tmp_path / "new.db").exists()
    assert "where its database is" in cli("init", "--url", "https://consent.example").err

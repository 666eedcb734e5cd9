"""`--help`: it is complete, and its examples run."""

from __future__ import annotations

import importlib.metadata
import json
import re
import shlex
from pathlib import Path

import pytest

from diijam_consent_sdk import __version__
from diijam_consent_sdk.cli import app
from diijam_consent_sdk.cli.commands import (
    check,
    conformance,
    copy,
    due,
    entries,
    file,
    head,
    history,
    holder,
    init,
    notice,
    permitted,
    ping,
    record,
    replay,
    report,
    serve,
    token,
    verify,
    watch,
)
from diijam_consent_sdk.cli.commands.record import event_file
from diijam_consent_sdk.events import AccountOpened
from diijam_consent_sdk.vocabulary import Channel, Field, Purpose
from tests.cli.conftest import Cli, Ledger

COMMANDS = [
    "check", "conformance", "copy", "due", "entries", "file", "head", "history", "holder", "init", "notice",
    "permitted", "ping", "record", "replay", "report", "serve", "token", "verify", "watch",
]  # fmt: skip
WITH_HELP = [
    *(command for command in COMMANDS if command not in {"token", "notice", "holder"}),
    "token new",
    "token rotate",
    "token list",
    "token revoke",
    "notice add",
    "notice list",
    "notice show",
    "holder add",
    "holder list",
    "holder retire",
    "holder owed",
    "holder confirm",
]
PAGES = [
    app.EXAMPLES,
    record.EXAMPLES,
    check.EXAMPLES,
    permitted.EXAMPLES,
    history.EXAMPLES,
    head.EXAMPLES,
    verify.EXAMPLES,
    copy.EXAMPLES,
    due.EXAMPLES,
    report.EXAMPLES,
    init.EXAMPLES,
    notice.ADD_EXAMPLES,
    notice.LIST_EXAMPLES,
    notice.SHOW_EXAMPLES,
    holder.ADD_EXAMPLES,
    holder.LIST_EXAMPLES,
    holder.OWED_EXAMPLES,
    holder.CONFIRM_EXAMPLES,
    holder.RETIRE_EXAMPLES,
    ping.EXAMPLES,
    serve.EXAMPLES,
    token.EXAMPLES,
    token.NEW_EXAMPLES,
    token.ROTATE_EXAMPLES,
    token.LIST_EXAMPLES,
    token.REVOKE_EXAMPLES,
]

NOT_RUN = [conformance.EXAMPLES, entries.EXAMPLES, file.EXAMPLES, replay.EXAMPLES, watch.EXAMPLES]


def examples() -> list[str]:
    """Every command that the help shows, whole, without what it is piped into."""
    lines = "\n".join(PAGES).replace("\\\n", "").splitlines()
    shown = [line[line.index("diijam-consent ") :] for line in lines if "diijam-consent " in line]
    return [re.split(r" [|<>&]", line)[0] for line in shown if "--url" not in line and "--to" not in line]


def test_no_example_is_folded() -> None:
    """A line that is wider than the help would be broken where nobody can paste it."""
    assert [line for line in "\n".join(PAGES + NOT_RUN).splitlines() if len(line) > 80] == []


@pytest.mark.parametrize("arguments", [[], ["--help"], ["-h"]], ids=str)
def test_help(cli: Cli, arguments: list[str]) -> None:
    """The first page names every command and shows how to start."""
    result = cli(*arguments)
    assert (result.status, result.err) == (0, "")
    assert all(f"│ {command} " in result.out for command in COMMANDS)
    assert "diijam-consent record u-1 Granted --purpose marketing" in result.out
    assert "\x1b" not in result.out


@pytest.mark.parametrize("command", WITH_HELP)
def test_help_of_a_command(cli: Cli, command: str) -> None:
    """Each command shows its usage, its exit status and examples, and nothing meant for programmers."""
    result = cli(*command.split(), "--help")
    assert (result.status, result.err) == (0, "")
    assert result.out.startswith(f"Usage: diijam-consent {command} ")
    assert "Exit status: " in result.out
    assert f"Examples:\n  diijam-consent {command}" in result.out
    assert not [word for word in ("Returns:", "Raises:", "[default") if word in result.out]
    assert max(map(len, result.out.splitlines())) <= 80


@pytest.mark.parametrize("command", ["check", "permitted"])
def test_help_lists_every_word(cli: Cli, command: str) -> None:
    """The words of the vocabulary are all there."""
    out = cli(command, "--help").out
    assert [word for word in [*Channel, *Field, *Purpose] if word not in out] == []


def test_version(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """--version prints the package's version and nothing else, also from a zip that was never installed."""

    def missing(name: str) -> importlib.metadata.Distribution:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "distribution", missing)
    assert cli("--version").out == __version__ + "\n"


@pytest.mark.parametrize("arguments", [["chek"], ["--no"], ["record", "--no"]], ids=str)
def test_unknown(cli: Cli, arguments: list[str]) -> None:
    """A command or option that there is not exits 2, and says where to look."""
    result = cli(*arguments)
    assert (result.status, result.out, result.err.count("\n")) == (2, "", 1)
    assert result.err.startswith("error: Unknown ")
    assert "see diijam-consent" in result.err
    assert "Available" not in result.err  # a list that is cut off


def test_examples_run(ledger: Ledger, cli: Cli, tmp_path: Path) -> None:
    """Every example of the help runs: it is done, or answered, and never an error."""
    (tmp_path / "audience.csv").write_text("user_id\nu-1\n")
    (tmp_path / "events.jsonl").write_text(event_file.EXAMPLE)
    for name in ("vi.txt", "en.txt"):
        (tmp_path / name).write_text("Diijam gửi khuyến mại qua email.\n", encoding="utf-8")
    file = {"notice": "n-7-file", "texts": {"vi": "lời"}, "purposes": ["marketing"]}
    (tmp_path / "notice.json").write_text(json.dumps(file))
    for user_id in ("--odd-id", "Nguyễn Văn A"):
        ledger.record(user_id, AccountOpened())
    for example in examples():
        _, *words = shlex.split(example)
        result = cli(*words)
        is_refused = "the account is open already" in result.err or "no erasure is pending" in result.err
        assert result.status in {0, 1} or is_refused, (example, result)
    assert len(examples()) > 20

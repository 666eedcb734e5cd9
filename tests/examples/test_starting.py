"""The requirements of the example programs, and their messages without them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from examples import analytics, audit, campaign, notices, profile, report

Main = Callable[[Sequence[str]], int]
Env = pytest.MonkeyPatch
PROGRAMS = {campaign.main: "--audience", analytics.main: "--users", profile.main: "--users"}
each_program = pytest.mark.parametrize(("main", "option"), PROGRAMS.items(), ids=["campaign", "analytics", "profile"])


def complaint(main: Main, arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """The program's standard error as it ends with 2."""
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert stopped.value.code == 2
    return capsys.readouterr().err


@each_program
def test_without_ledger(
    main: Main, option: str, audience: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With no URL, one that names no store or a ledger that cannot be opened, it ends with 2 and says so."""
    assert "DIIJAM_CONSENT_URL is not set" in complaint(main, [option, audience], capsys)
    assert "names no store" in complaint(main, [option, audience, "--url", "nowhere:"], capsys)
    assert "cannot" in complaint(main, [option, audience, "--url", f"sqlite:///{tmp_path}"], capsys)


@each_program
def test_a_file_holds_the_token(
    main: Main, option: str, audience: str, capsys: pytest.CaptureFixture[str], monkeypatch: Env
) -> None:
    """A token's file that the environment names is read, as the pages on tokens have it."""
    monkeypatch.setenv("DIIJAM_CONSENT_URL", "https://127.0.0.1:9")
    monkeypatch.setenv("DIIJAM_CONSENT_TOKEN_FILE", "none.token")
    assert "none.token" in complaint(main, [option, audience], capsys)


@pytest.mark.parametrize("main", [audit.main, notices.main, report.main], ids=["audit", "notices", "report"])
def test_help_makes_nothing(main: Main, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: Env) -> None:
    """Who asks a program that writes for help gets help, and no ledger."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DIIJAM_CONSENT_URL", "sqlite:///consents.db")
    with pytest.raises(SystemExit) as stopped:
        main(["--help"])
    assert stopped.value.code == 0
    assert "usage: " in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == []


@each_program
def test_without_list(main: Main, option: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With no list, or one without ids or of other bytes than UTF-8, it ends with 2 and says so."""
    no_ids, utf_16 = tmp_path / "no_ids.csv", tmp_path / "utf_16.csv"
    no_ids.write_text("name\nLan\n", encoding="utf-8")
    utf_16.write_bytes("user_id\nĐà Lạt\n".encode("utf-16"))
    for path, message in ((tmp_path / "none.csv", "No such file"), (no_ids, "no column user_id"), (utf_16, "decode")):
        assert message in complaint(main, ["--url", "memory:", option, str(path)], capsys)


@each_program
def test_environment_names_the_ledger(main: Main, option: str, url: str, audience: str) -> None:
    """Without `--url` it takes the ledger from the environment."""
    assert url
    assert main([option, audience, *(["--user", "u-00001"] if main is profile.main else [])]) == 0


@each_program
def test_list_from_a_spreadsheet(main: Main, option: str, few: Path, tmp_path: Path) -> None:
    """A byte-order mark in front of the list is no part of the name of its first column."""
    marked = tmp_path / "marked.csv"
    marked.write_bytes(b"\xef\xbb\xbf" + (few / "audience.csv").read_bytes())
    arguments = ["--url", "memory:", option, str(marked)]
    assert main([*arguments, *(["--user", "u-00001"] if main is profile.main else [])]) == 0


@each_program
def test_nobody_reads_on(main: Main, option: str, audience: str) -> None:
    """Where its output goes to nobody, it ends with 141, as what SIGPIPE ended, and without a word."""
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as pipe:
        program = [sys.executable, main.__globals__["__file__"], "--url", "memory:", option, audience]
        user = ["--user", "u-00001"] if main is profile.main else []
        ended = subprocess.run([*program, *user], stdout=pipe, stderr=subprocess.PIPE, check=False)
    assert (ended.returncode, ended.stderr) == (141, b"")

"""`diijam-consent file`."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from diijam_consent_sdk.events import AccountClosed, Erased
from diijam_consent_sdk.service.scopes import Scope
from diijam_consent_sdk.service.token_changes import new_token
from diijam_consent_sdk.stores import MemoryStore
from diijam_consent_sdk.testing import unreachable
from tests.cli.conftest import MAILABLE, Cli, Ledger
from tests.cli.fakes import FailingStore
from tests.service.conftest import running


@pytest.mark.parametrize(
    ("lang", "title"),
    [([], "Hồ sơ quyền riêng tư của bạn"), (["--lang", "vi"], "Hồ sơ quyền"), (["--lang", "en"], "Your privacy file")],
)
def test_a_page_is_written(mailable: Ledger, cli: Cli, tmp_path: Path, lang: list[str], title: str) -> None:
    """The ending .html gives the page, in Vietnamese unless another language is named; nobody else may read it."""
    result = cli("file", "u-1", "--output", "u-1.html", *lang)
    assert (result.status, result.out, result.err) == (0, "", "")
    written = tmp_path / "u-1.html"
    assert f"<h1>{title}" in written.read_text(encoding="utf-8")
    assert stat.S_IMODE(written.stat().st_mode) == 0o600


def test_json_is_written(mailable: Ledger, cli: Cli, tmp_path: Path) -> None:
    """The ending .json, in any case, gives JSON; an older file is replaced."""
    (tmp_path / "U-1.JSON").write_text("old", encoding="utf-8")
    assert cli("file", "u-1", "--output", "U-1.JSON", "--json").status == 0
    found = json.loads((tmp_path / "U-1.JSON").read_text(encoding="utf-8"))
    assert [entry["event"]["type"] for entry in found["entries"]] == ["AccountOpened", "Granted"]


def test_without_an_output_it_is_printed(mailable: Ledger, cli: Cli) -> None:
    """Standard output takes the page, or JSON with --json."""
    assert cli("file", "u-1").out.startswith("<!doctype html>\n")
    assert json.loads(cli("file", "u-1", "--json", "--output", "-").out)["user_id"] == "u-1"


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["--output", "u-1.pdf"], "--output ends in .html or .json"),
        (["--output", "u-1"], "--output ends in .html or .json"),
        (["--output", "u-1.html", "--json"], "either --json or an --output that ends in .html"),
        (["--output", "nowhere/u-1.html"], "nowhere/u-1.html"),
        (["--lang", "fr"], "--lang"),
    ],
)
def test_wrong_words(mailable: Ledger, cli: Cli, tmp_path: Path, arguments: list[str], error: str) -> None:
    """What cannot be meant or written is one line of error, and leaves no file behind."""
    before = sorted(tmp_path.iterdir())
    result = cli("file", "u-1", *arguments)
    assert (result.status, result.out) == (2, "")
    assert error in result.err
    assert sorted(tmp_path.iterdir()) == before


def test_an_unknown_and_an_erased_customer(mailable: Ledger, cli: Cli, tmp_path: Path) -> None:
    """Of an unknown customer a note is printed too, since the id may be mistyped; an erased one has a tombstone."""
    result = cli("file", "nobody", "--output", "n.json")
    assert (result.status, result.err) == (0, "note: the ledger knows no such customer, and the file says so\n")
    assert json.loads((tmp_path / "n.json").read_text(encoding="utf-8"))["entries"] == []
    mailable.record("u-1", AccountClosed(), Erased())
    assert cli("file", "u-1", "--output", "e.html").err == ""
    page = (tmp_path / "e.html").read_text(encoding="utf-8")
    assert "Dữ liệu của bạn đã được xóa" in page
    assert "promo" not in page


def test_an_outage_leaves_the_file_alone(failing: FailingStore, cli: Cli, tmp_path: Path) -> None:
    """What could not be read is not written."""
    (tmp_path / "u-1.html").write_text("old", encoding="utf-8")
    failing.failures["load"] = unreachable()
    result = cli("file", "u-1", "--output", "u-1.html", "--url", "https://consent.example/")
    assert (result.status, result.out, result.err.count("\n")) == (2, "", 1)
    assert (tmp_path / "u-1.html").read_text(encoding="utf-8") == "old"


def test_over_http(tmp_path: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """Behind a consent service the file is the same, hashes included."""
    tokens, store = tmp_path / "tokens.json", MemoryStore()
    monkeypatch.setenv("DIIJAM_CONSENT_TOKEN", new_token(tokens, "auditor", [Scope.READ]))
    head = store.append("u-1", MAILABLE).cursor
    service = running(store, tokens)
    try:
        assert cli("file", "u-1", "--output", "u-1.json", "--url", service.url).status == 0
    finally:
        service.stop()
    found = json.loads((tmp_path / "u-1.json").read_text(encoding="utf-8"))
    assert found["entries"][-1]["hash"] == head.hash
    assert found["head"].endswith(head.hash)

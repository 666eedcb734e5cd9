"""`diijam-consent notice add|list|show`, and `init --require-notices`."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from diijam_consent_sdk import NoticeText
from diijam_consent_sdk.stores import SqliteStore
from tests.cli.conftest import Cli, Ledger

WORDS = "Diijam gửi khuyến mại\r\nqua email. "
PROMO = NoticeText("promo", {"vi": WORDS, "en": "Promotions by email"}, ["marketing"], ["email"])
ADD = (
    "notice", "add", "promo", "--text", "vi=@vi.txt", "--text", "en=Promotions by email", "--purpose", "marketing",
    "--data", "email",
)  # fmt: skip


@pytest.fixture(autouse=True)
def _words(tmp_path: Path) -> None:
    (tmp_path / "vi.txt").write_bytes(WORDS.encode())


def registered(ledger: Ledger, notice: str = "promo") -> Any:
    """The notice as the ledger has it."""
    with closing(SqliteStore(ledger.path)) as store:
        return store.notice(notice)


def test_words_are_registered_exactly(cli: Cli, ledger: Ledger) -> None:
    """Line ends and spaces of a file are kept, a missing ledger is made, and the answer shows the digest."""
    done = cli(*ADD)
    assert (done.status, done.err) == (0, "")
    found = registered(ledger)
    assert (found.text, found.by) == (PROMO, "cli")
    assert f"digest      {PROMO.digest}" in done.out
    assert cli(*ADD).out == done.out


def test_a_file_has_all_of_a_notice(cli: Cli, ledger: Ledger, tmp_path: Path) -> None:
    """A JSON object gives what the options give, from a file or standard input."""
    fields = {"notice": "promo", "texts": dict(PROMO.texts), "purposes": ["marketing"], "data": ["email"]}
    (tmp_path / "notice.json").write_text(json.dumps(fields))
    assert cli("notice", "add", "--file", "notice.json").status == 0
    assert registered(ledger).text == PROMO
    sharing = {**fields, "notice": "n-7", "recipient": "acme", "data": ["payment"], "sensitive": ["payment"]}
    assert cli("notice", "add", "--file", "-", stdin=json.dumps(sharing).encode()).status == 0
    assert (registered(ledger, "n-7").text.recipient, registered(ledger, "n-7").text.sensitive) == ("acme", {"payment"})


REFUSED: list[tuple[tuple[str, ...], str]] = [
    (("notice", "add"), "--text vi=@vi.txt --purpose PURPOSE"),
    (("notice", "add", "n", "--text", "vi=x"), "--purpose PURPOSE"),
    (("notice", "add", "n", "--text", "words", "--purpose", "surveys"), "write --text vi=@vi.txt"),
    (("notice", "add", "n", "--text", "vi=x", "--text", "vi=y", "--purpose", "surveys"), "--text vi is given twice"),
    (("notice", "add", "n", "--text", "vi=@gone.txt", "--purpose", "surveys"), "gone.txt"),
    (("notice", "add", "n", "--text", "vi=@long.txt", "--purpose", "surveys"), "more than 65,536 bytes: 'long.txt'"),
    (("notice", "add", "n", "--text", "vi=@latin.txt", "--purpose", "surveys"), "save it as UTF-8"),
    (("notice", "add", "n", "--text", "vi=x", "--purpose", "spam"), "unknown Purpose"),
    (("notice", "add", "n", "--text", "vi=x", "--purpose", "surveys", "--data", "payment"), "name payment in"),
    (("notice", "add", "promo", "--text", "vi=x", "--purpose", "surveys"), "under a new id"),
    (("notice", "add", "n", "--file", "notice.json"), "only --url goes with it"),
    (("notice", "add", "--file", "other.json"), "holds no notice (Object contains unknown field within): write a JSON"),
    (("notice", "show", "n"), "see diijam-consent notice list"),
    (("notice", "show", "promo", "--lang", "fr"), "it has en, vi"),
]


@pytest.mark.parametrize(("arguments", "message"), REFUSED)
def test_what_makes_no_notice_is_refused(
    arguments: tuple[str, ...], message: str, cli: Cli, ledger: Ledger, tmp_path: Path
) -> None:
    """The status is 2, one line says what to do, and nothing is registered."""
    (tmp_path / "long.txt").write_bytes(b"x" * 65_537)
    (tmp_path / "latin.txt").write_bytes("Khuyến".encode("utf-16"))
    (tmp_path / "other.json").write_text('{"notice": "n", "texts": {"vi": "x"}, "purposes": ["surveys"], "datas": []}')
    cli(*ADD)
    result = cli(*arguments)
    assert (result.status, result.out, result.err.count("\n")) == (2, "", 1)
    assert message in result.err
    assert registered(ledger, "n") is None


def test_notices_are_listed_without_their_words(cli: Cli, ledger: Ledger) -> None:
    """As a table and as JSON; an empty registry lists none."""
    cli("init")
    assert (cli("notice", "list").out, json.loads(cli("notice", "list", "--json").out)) == ("", {"notices": []})
    cli(*ADD)
    header, row = cli("notice", "list").out.splitlines()
    assert header.split() == ["notice", "registered", "at", "by", "languages", "purposes", "recipient", "digest"]
    assert (row.split()[0], row.split()[-1]) == ("promo", PROMO.digest)
    (listed,) = json.loads(cli("notice", "list", "--json").out)["notices"]
    assert (listed["notice"], listed["languages"], listed["by"]) == ("promo", ["en", "vi"], "cli")
    assert "texts" not in listed


def test_a_notice_is_shown_with_its_words(cli: Cli, ledger: Ledger) -> None:
    """All languages, or one; JSON has the words exactly."""
    cli(*ADD)
    shown = cli("notice", "show", "promo").out
    assert "[en]\nPromotions by email\n\n[vi]\nDiijam gửi khuyến mại\nqua email. \n" in shown
    assert "purposes    marketing\n" in shown
    assert "[en]" not in cli("notice", "show", "promo", "--lang", "vi").out
    assert json.loads(cli("notice", "show", "promo", "--lang", "vi", "--json").out)["texts"] == {"vi": WORDS}
    whole = json.loads(cli("notice", "show", "promo", "--json").out)
    assert (whole["texts"], whole["digest"]) == (PROMO.texts, PROMO.digest)


def test_a_ledger_is_made_to_require_notices(cli: Cli, url: str, ledger: Ledger) -> None:
    """From then on an unregistered notice is refused, in a file and in PostgreSQL; a later `init` lifts nothing."""
    granted = ("record", "u-1", "Granted", "--purpose", "marketing", "--notice", "promo", "--channel", "email", "--url")
    for place in (ledger.url, url):
        assert cli("init", "--require-notices", "--url", place).out == "the ledger is ready, and requires notices\n"
        assert cli("init", "--url", place).out == "the ledger is ready\n"
        cli("record", "u-1", "AccountOpened", "--url", place)
        assert "register the text under this id before it is named" in cli(*granted, place).err
        assert cli(*ADD, "--url", place).status == 0
        assert cli(*granted, place).status == 0


def test_a_mark_of_the_order_of_bytes_is_no_part_of_the_words(cli: Cli, ledger: Ledger, tmp_path: Path) -> None:
    """Windows Notepad writes one ahead of a text, and nobody is shown it."""
    text = tmp_path / "vi.txt"
    text.write_bytes(b"\xef\xbb\xbf" + "Khuyến mại".encode())
    assert cli("notice", "add", "promo", "--text", f"vi=@{text}", "--purpose", "marketing").status == 0
    assert json.loads(cli("notice", "show", "promo", "--json").out)["texts"] == {"vi": "Khuyến mại"}

"""`diijam-consent history` and `diijam-consent verify`."""

from __future__ import annotations

import json
import re
from contextlib import closing
from datetime import UTC, datetime

import pytest

from diijam_consent_sdk.cli.console import print_json
from diijam_consent_sdk.events import (
    AccountClosed,
    AccountOpened,
    Erased,
    Granted,
    Provenance,
    RequestFiled,
    Restricted,
    Withdrawn,
)
from diijam_consent_sdk.record import END_OF_TIME
from diijam_consent_sdk.stores import SqliteStore
from tests.cli.conftest import Cli, Ledger


def test_history(mailable: Ledger, cli: Cli) -> None:
    """What happened is a table, oldest first, each line with its position, version, time and fields."""
    result = cli("history", "u-1")
    assert (result.status, result.err) == (0, "")
    head, *lines = (re.split(r" {2,}", line.strip()) for line in result.out.splitlines())
    assert head == ["position", "version", "at", "event", "fields", "provenance"]
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+07:00", line.pop(2)) for line in lines)
    assert lines == [
        ["1", "1", "AccountOpened", "origin=direct"],
        ["2", "2", "Granted", "purpose=marketing notice=promo channels=email"],
    ]


VIETNAMESE = [
    "vị trí  phiên bản  lúc  việc  cách thức",
    "Bạn mở tài khoản Diijam.",
    "Bạn đồng ý nhận khuyến mại, tiếp thị, quảng cáo qua email, theo nội dung “promo” đã cho bạn xem.",
    "Bạn từ chối nhận khuyến mại, tiếp thị, quảng cáo qua bất cứ kênh nào.",
    "Bạn hạn chế việc dùng toàn bộ dữ liệu của mình.",
    "Bạn đóng tài khoản. Mọi điều bạn từng đồng ý hoặc công khai chấm dứt từ lúc đó.",
]


ENGLISH = [
    "position  version  at  what happened  how",
    "You opened a Diijam account.",
    "You consented to promotions, marketing and advertising by email, as put in the notice “promo”.",
    "You said no to promotions, marketing and advertising by any channel.",
    "You restricted the use of all your data.",
    "You closed the account, which ended all that you had agreed to or made public.",
]


@pytest.mark.parametrize(("lang", "said"), [("vi", VIETNAMESE), ("en", ENGLISH)])
def test_history_in_words(mailable: Ledger, cli: Cli, lang: str, said: list[str]) -> None:
    """With --lang the table is in sentences that customers read, at the times of Vietnam."""
    mailable.record("u-1", Withdrawn("marketing"), Restricted(), AccountClosed())
    result = cli("history", "u-1", "--lang", lang)
    head, *lines = (re.split(r" {2,}", line.strip()) for line in result.out.splitlines())
    assert (result.status, "  ".join(head)) == (0, said[0])
    assert all(line[2].endswith("+07:00") for line in lines)
    assert ["  ".join(line[3:]) for line in lines] == said[1:]


SAID = Provenance("mailer", "import", "form-7", "vi", datetime(2025, 3, 1, 2, tzinfo=UTC))
HOW = {
    "vi": "Cách thức: chuyển từ hệ thống cũ. Người ghi: mailer. Bằng chứng: form-7. Hỏi bằng: tiếng Việt. Theo lời bên"
    " nhập dữ liệu, bạn nói điều này lúc 09:00:00 ngày 01/03/2025 (GMT+7). Sổ này không chứng minh được thời điểm đó.",
    "en": "How: carried over from an older system. Written by: mailer. Evidence: form-7. Asked in: Vietnamese. The"
    " importer claims that you said this on 1 March 2025, 09:00:00 (GMT+7). This ledger cannot prove that time.",
}


@pytest.mark.parametrize(("lang", "how"), HOW.items())
def test_history_tells_who_wrote_it_and_how_it_was_said(mailable: Ledger, cli: Cli, lang: str, how: str) -> None:
    """Provenance is a column, in fields or in words; the time of an import is told as the importer's claim."""
    with closing(SqliteStore(mailable.path)) as store:
        store.append("u-2", [Withdrawn("surveys")], provenance=SAID)
    plain, worded = (" ".join(cli("history", "u-2", *more).out.split()) for more in ((), ("--lang", lang)))
    said = "by=mailer method=import evidence=form-7 language=vi said_at=2025-03-01T09:00:00+07:00"
    assert plain.endswith(said)
    assert worded.endswith(how)


def test_history_shows_the_end_of_the_calendar(mailable: Ledger, cli: Cli) -> None:
    """An end that lies past the year 9999 in Vietnam is shown in UTC."""
    mailable.record("u-1", Granted("surveys", "promo", expires_at=END_OF_TIME))
    assert "expires_at=9999-12-31T23:59:59+00:00" in cli("history", "u-1").out
    assert "It holds until 31 December 9999, 23:59:59 (UTC)." in cli("history", "u-1", "--lang", "en").out


def test_history_as_json(mailable: Ledger, cli: Cli) -> None:
    """With --json each entry is a line of JSON."""
    entries = [json.loads(line) for line in cli("history", "u-1", "--json").out.splitlines()]
    assert [(entry["user_id"], entry["position"], entry["version"]) for entry in entries] == [
        ("u-1", 1, 1),
        ("u-1", 2, 2),
    ]
    assert entries[0]["event"] == {"type": "AccountOpened", "origin": "direct"}


def test_json_shows_what_would_hide(ledger: Ledger, cli: Cli) -> None:
    """What a terminal would obey or hide is spelled in JSON as JSON spells it, and reads back as it was."""
    user_id = "u\u00a01"
    ledger.record(user_id, AccountOpened(), Granted("surveys", notice=user_id), RequestFiled("r-1", "access"))
    for command in (("history", user_id), ("due",), ("check", user_id, "process", "surveys")):
        out = cli(*command, "--json").out
        assert out.replace("\n", "").isprintable()
        assert r"u\u00a01" in out
        assert user_id in json.dumps([json.loads(line) for line in out.splitlines()], ensure_ascii=False)


def test_json_of_an_older_ledger(capsys: pytest.CaptureFixture[str]) -> None:
    """What no new id holds (marks of direction, controls, tags beyond the basic plane) is spelled too."""
    hidden = "a\u202eb\x7fc\U000e0041d"
    print_json(json.dumps(hidden, ensure_ascii=False).encode())
    out = capsys.readouterr().out
    assert out == r'"a\u202eb\u007fc\udb40\udc41d"' + "\n"
    assert json.loads(out) == hidden


def test_history_shows_what_would_hide(ledger: Ledger, cli: Cli) -> None:
    """What a terminal would obey or hide, and what rich would read as markup, is spelled out."""
    notice = "[red]promo x\u00a0" + "y" * 200
    ledger.record("u-1", AccountOpened(), Granted("surveys", notice=notice))
    assert r"notice=[red]promo x\xa0" + "y" * 200 in cli("history", "u-1").out


def test_history_of_nobody(mailable: Ledger, cli: Cli) -> None:
    """To a customer nobody knows nothing happened, which is no error."""
    result = cli("history", "nobody")
    assert (result.status, result.out) == (0, "")
    assert result.err == "nothing happened: the ledger knows no such customer\n"


def test_history_of_an_erased_customer(mailable: Ledger, cli: Cli) -> None:
    """Of an erased customer only the erasure is left."""
    mailable.record("u-1", AccountClosed(), Erased())
    out = cli("history", "u-1").out
    assert ("Erased" in out, "promo" in out, out.count("\n")) == (True, False, 2)

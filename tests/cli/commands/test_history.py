"""`diijam-consent history` and `diijam-consent verify`."""

from __future__ import annotations

import json
import re
from typing import get_args

import attrs
import pytest

from diijam_consent_sdk.cli.commands.history import wording
from diijam_consent_sdk.cli.console import print_json
from diijam_consent_sdk.events import (
    AccountClosed,
    AccountOpened,
    Erased,
    Event,
    Granted,
    RequestFiled,
    Restricted,
    Withdrawn,
)
from tests.cli.conftest import Cli, Ledger


def test_history(mailable: Ledger, cli: Cli) -> None:
    """What happened is a table, oldest first, each line with its position, version, time and fields."""
    result = cli("history", "u-1")
    assert (result.status, result.err) == (0, "")
    head, *lines = (re.split(r" {2,}", line.strip()) for line in result.out.splitlines())
    assert head == ["position", "version", "at", "event", "fields"]
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+07:00", line.pop(2)) for line in lines)
    assert lines == [
        ["1", "1", "AccountOpened", "origin=direct"],
        ["2", "2", "Granted", "purpose=marketing notice=promo channels=email"],
    ]


VIETNAMESE = [
    "số thứ tự  phiên bản  lúc  việc  chi tiết",
    "Mở tài khoản  mở qua: Diijam",
    "Đồng ý  mục đích: khuyến mại, tiếp thị, quảng cáo; thông báo: promo; kênh: email",
    "Từ chối hoặc rút lại đồng ý  mục đích: khuyến mại, tiếp thị, quảng cáo; kênh: tất cả",
    "Hạn chế dữ liệu  dữ liệu: toàn bộ",
    "Đóng tài khoản",
]


ENGLISH = [
    "position  version  at  what happened  details",
    "Account opened  by way of: Diijam",
    "Consented  purpose: promotions, marketing, advertising; notice: promo; channels: email",
    "Declined or withdrew consent  purpose: promotions, marketing, advertising; channels: all",
    "Data restricted  data: all",
    "Account closed",
]


@pytest.mark.parametrize(("lang", "said"), [("vi", VIETNAMESE), ("en", ENGLISH)])
def test_history_in_words(mailable: Ledger, cli: Cli, lang: str, said: list[str]) -> None:
    """With --lang the table is in words that customers read, at the times of Vietnam."""
    mailable.record("u-1", Withdrawn("marketing"), Restricted(), AccountClosed())
    result = cli("history", "u-1", "--lang", lang)
    head, *lines = (re.split(r" {2,}", line.strip()) for line in result.out.splitlines())
    assert (result.status, "  ".join(head)) == (0, said[0])
    assert all(line[2].endswith("+07:00") for line in lines)
    assert ["  ".join(line[3:]) for line in lines] == said[1:]


def test_events_and_fields_have_words() -> None:
    """Each event and each of its fields has a name in both languages."""
    assert wording.EVENTS.keys() == set(get_args(Event))
    assert {field.name for kind in wording.EVENTS for field in attrs.fields(kind)} <= wording.FIELDS.keys()
    pairs = [*wording.EVENTS.values(), *wording.FIELDS.values()]
    assert all(text.strip() == text != "" for both in pairs for text in both)


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

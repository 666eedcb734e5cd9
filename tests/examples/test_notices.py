"""The words of the example's customers can be registered, and are all that its consents name."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path

import pytest

from diijam_consent_sdk.stores import SqliteStore
from examples import notices


def test_every_notice_that_a_customer_was_shown_has_words() -> None:
    """The notices are those that customers.jsonl names, each in Vietnamese and English."""
    lines = (notices.DATA / "customers.jsonl").read_text("utf-8").splitlines()
    named = {json.loads(line)["event"].get("notice") for line in lines} - {None}
    made = {text.notice: text for text in notices.notices()}
    assert made.keys() == named
    assert all(text.texts.keys() == {"vi", "en"} for text in made.values())
    assert made["kim-hac-telecom-2026-1"].texts["vi"] == (
        "Nếu bạn đồng ý, Diijam chia sẻ với kim-hac-telecom: số điện thoại, thông tin thanh toán."
        " Mục đích: xử lý thanh toán. Bản 1 năm 2026."
    )


def test_they_are_registered_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """By the legal department; a second run changes nothing, and without a ledger the error says what to set."""
    assert notices.main([]) == 2
    assert "DIIJAM_CONSENT_URL" in capsys.readouterr().err
    monkeypatch.setenv("DIIJAM_CONSENT_URL", f"sqlite:///{tmp_path / 'c.db'}")
    assert notices.main([]) == notices.main([]) == 0
    assert "19 notices" in capsys.readouterr().out
    with closing(SqliteStore(tmp_path / "c.db")) as store:
        assert [notice.by for notice in store.notices()] == ["legal"] * 19

"""The campaign: its numbers add up, what is wrong with the list stops nobody else, and a no is a no at once."""

from __future__ import annotations

import re
from collections import Counter
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from diijam_consent_sdk import Channel, ConsentClient, Decision, Market, Reason
from diijam_consent_sdk.decisions import UNAVAILABLE
from diijam_consent_sdk.errors import StoreUnavailable
from diijam_consent_sdk.sending import VIETNAM
from diijam_consent_sdk.stores import MemoryStore, SqliteStore
from examples import campaign

from .conftest import COMMITTED, PATIENT_SECONDS, rows, well_formed


def counts(out: str) -> dict[str, int]:
    """The first word behind each number at the start of a line, and the number."""
    return {word: int(n.replace(",", "")) for n, word in re.findall(r"^ *([\d,]+)  (\w+)", out, flags=re.MULTILINE)}


def test_numbers_add_up(url: str, audience: str, few: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each row of the list is counted once: mailed, denied by reason, listed again or malformed."""
    assert campaign.main(["--url", url, "--audience", audience]) == 0
    said = counts(capsys.readouterr().out)
    assert said.pop("rows") == len(rows(few)) == sum(said.values())
    assert said["may"] > 10
    assert {"not_consented", "withdrawn", "unknown_user", "listed", "malformed"} < said.keys()


def test_full_data(full: MemoryStore, capsys: pytest.CaptureFixture[str]) -> None:
    """Over the committed data the report agrees with one guard asked for each id by itself."""
    listed = rows(COMMITTED)
    with ConsentClient(full, deadline=PATIENT_SECONDS) as consent:
        report = campaign.send(consent, [(row["user_id"], row) for row in listed])
        expected = Counter(consent.decide(user_id, campaign.MAIL) for user_id in well_formed(listed))
    campaign.show(report, "en")
    assert len(report.mailed) == sum(expected[d] for d in list(expected) if d.allowed) > 700
    assert report.denied == Counter({d: n for d, n in expected.items() if not d.allowed})
    assert len(report.mailed) + report.denied.total() + report.repeated + report.malformed == len(listed)
    assert {d.reason for d in report.denied} == {
        Reason.NOT_CONSENTED, Reason.WITHDRAWN, Reason.UNKNOWN_USER, Reason.ACCOUNT_CLOSED, Reason.ERASED,
        Reason.RESTRICTED, Reason.ERASURE_REQUESTED, Reason.OBJECTED,
    }  # fmt: skip
    assert report.is_complete()
    assert len(capsys.readouterr().out.splitlines()) == 3 + len(report.denied)


def test_nothing_goes_out_after_hours(full: MemoryStore, capsys: pytest.CaptureFixture[str]) -> None:
    """A text message waits for the morning: who is left is counted, to be asked again, and the campaign unfinished."""
    listed = [(row["user_id"], row) for row in rows(COMMITTED)]
    evening = datetime(2026, 11, 29, 21, 59, 59, tzinfo=VIETNAM)
    times = iter([evening] * 10 + [evening + timedelta(seconds=1)] * len(listed))
    with ConsentClient(full, deadline=PATIENT_SECONDS) as consent:
        report = campaign.send(consent, listed, Market(Channel.MESSAGE, data=campaign.DATA), lambda: next(times))
    assert report.waiting == len(listed) - 10
    assert not report.is_complete()
    campaign.show(report, "en")
    assert "run it again from 30/11/2026 07:00 on" in capsys.readouterr().out


def test_one_says_no(url: str, audience: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Once the customer said no, the very next ask says no, and the next campaign mails one fewer."""
    arguments = ["--url", url, "--audience", audience, "--lang", "en"]
    assert campaign.main([*arguments, "--one-says-no"]) == 0
    out = capsys.readouterr().out
    assert "You consented to this purpose." in out
    assert "the very next ask: no, withdrawn: You declined this purpose" in out
    assert re.search(r"the proof: entry \d+ is the yes, to words that are not registered; entry \d+ is the no", out)
    before = counts(out)
    campaign.main(arguments)
    after = counts(capsys.readouterr().out)
    assert after["may"] == before["may"] - 1
    assert after["withdrawn"] == before["withdrawn"] + 1


def test_campaign_only_reads(url: str, audience: str) -> None:
    """Without an opt-out option the campaign leaves the ledger as it is."""
    store = SqliteStore(url.removeprefix("sqlite:///"))
    before = store.load([]).cursor
    campaign.main(["--audience", audience])
    assert store.load([]).cursor == before
    store.close()


@pytest.mark.parametrize(
    ("lang", "words"), [("vi", "Bạn chưa đồng ý"), ("en", "You have not consented")], ids=["vi", "en"]
)
def test_language(url: str, audience: str, capsys: pytest.CaptureFixture[str], lang: str, words: str) -> None:
    """Messages come in the language asked for."""
    campaign.main(["--url", url, "--audience", audience, "--lang", lang])
    assert words in capsys.readouterr().out


def test_no_id_is_logged(
    url: str, audience: str, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    """Neither the log nor standard error has a user id in it."""
    with caplog.at_level("DEBUG"):
        campaign.main(["--url", url, "--audience", audience, "--one-says-no"])
    assert not re.search(r"u-\d{5}|kh-2019", caplog.text + capsys.readouterr().err)


@pytest.mark.usefixtures("unreachable")
def test_unreachable_store(audience: str, capsys: pytest.CaptureFixture[str]) -> None:
    """With no store to be asked nobody is mailed, and the exit code says that this was no customer's no."""
    assert campaign.main(["--url", "memory:", "--audience", audience, "--one-says-no"]) == 1
    said = counts(capsys.readouterr().out)
    assert said["may"] == 0
    assert {"unavailable", "unknown_user"} & said.keys() == {"unavailable"}


def test_it_stops_where_there_is_no_answer(
    url: str, audience: str, few: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once the store is away each ask takes its whole deadline, so nobody else is asked; every row is counted still."""
    decide, asked = ConsentClient.decide, list[str]()

    def decide_at_first(consent: ConsentClient, user_id: str, ask: Market) -> Decision:
        asked.append(user_id)
        return decide(consent, user_id, ask) if len(asked) <= 10 else UNAVAILABLE

    monkeypatch.setattr(ConsentClient, "decide", decide_at_first)
    assert campaign.main(["--url", url, "--audience", audience]) == 1
    said = counts(capsys.readouterr().out)
    assert len(asked) == 11
    assert said["unavailable"] == 1
    assert said["not"] >= len(rows(few)) - 20
    assert said.pop("rows") == len(rows(few)) == sum(said.values())


def test_refused_write(
    url: str, audience: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the no cannot be recorded, the program prints that and fails."""

    def broken(*_: object, **__: object) -> None:
        raise StoreUnavailable("the disk is full")

    monkeypatch.setattr(ConsentClient, "record", broken)
    assert campaign.main(["--url", url, "--audience", audience, "--one-says-no"]) == 1
    assert "the disk is full" in capsys.readouterr().err

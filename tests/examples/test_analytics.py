"""The analytics job: it reads the listening history of those who consented, and of nobody else."""

from __future__ import annotations

import re
from contextlib import closing
from pathlib import Path

import pytest

from diijam_consent_sdk import ConsentClient, Field, Purpose
from diijam_consent_sdk.stores import MemoryStore
from examples import analytics

from .conftest import load, rows


def test_reads_only_after_a_yes(url: str, audience: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The listening history is read once for each user who consented to that, and for no other."""
    read: list[str] = []

    def minutes_listened(user_id: str) -> int:
        read.append(user_id)
        return 60

    monkeypatch.setattr(analytics, "minutes_listened", minutes_listened)
    assert analytics.main(["--url", url, "--users", audience]) == 0
    with ConsentClient.from_url(url) as consent:
        allowed = [
            consent.can_process(user_id, Purpose.SERVICE_IMPROVEMENT, {Field.LISTENING_HISTORY}) for user_id in read
        ]
    assert all(allowed)
    assert len(read) == len(set(read)) > 10


def test_numbers_add_up(url: str, audience: str, few: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every distinct id is studied, looked at for fraud alone, denied both, or malformed."""
    assert analytics.main(["--url", url, "--users", audience, "--lang", "en"]) == 0
    out = capsys.readouterr().out
    (studied, asked), (fraud, others) = re.findall(r": (\d+) of (\d+)$", out, flags=re.MULTILINE)
    (malformed,) = re.findall(r"^(\d+) malformed", out, flags=re.MULTILINE)
    assert int(asked) + int(malformed) == len({row["user_id"] for row in rows(few)})
    assert int(others) == int(asked) - int(studied)
    assert 0 < int(fraud) < int(others)
    listed = re.findall(r"^ +(\d+)  (?:yes|no) ", out, flags=re.MULTILINE)
    assert sum(map(int, listed)) == int(asked) + int(others)


def test_one_malformed_id_spoils_no_batch(few: Path) -> None:
    """In a batch with malformed ids, everybody else is answered, in order."""
    with closing(MemoryStore()) as store, ConsentClient(store) as consent:
        load(store, few)
        users = list(analytics.users(consent, ["u-00001", "", "u-00002", "\x07", "u-00003"]))
    assert [user.user_id for user in users] == ["u-00001", "u-00002", "u-00003"]
    assert all(user.version for user in users)


@pytest.mark.usefixtures("unreachable")
def test_unreachable_store(audience: str, capsys: pytest.CaptureFixture[str]) -> None:
    """With no store to be asked nobody's data is touched, and the exit code says to run the job again."""
    assert analytics.main(["--url", "memory:", "--users", audience, "--lang", "en"]) == 1
    out = capsys.readouterr().out
    assert "may be studied: 0 of" in out
    assert "looked for: 0 of" in out

"""Starting the support centre, and the ledger that its demo makes."""

from __future__ import annotations

import importlib
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from diijam_consent_sdk import ConsentClient
from diijam_consent_sdk.stores import SqliteStore
from diijam_consent_sdk.vocabulary import RequestState
from examples.support_center.__main__ import main
from examples.support_center.story import HOLDERS, fill
from examples.support_center.views import make_work_list

ROOT = Path(__file__).parents[3]


def test_start_and_stop(tmp_path: Path) -> None:
    """It prints where it is, serves its made-up customers there, ends with 0 when stopped, and leaves no file."""
    with subprocess.Popen(
        [sys.executable, "-m", "examples.support_center", "--port", "0"],
        cwd=ROOT, env={**os.environ, "TMPDIR": str(tmp_path)}, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as process:  # fmt: skip
        try:
            assert process.stdout is not None
            (url,) = re.findall(r"http://127\.0\.0\.1:\d+/", process.stdout.readline())
            page = httpx.get(f"{url}requests", cookies={"staff": "0"}, trust_env=False)
            assert "u-00412" in page.text
            assert "không có thật" in page.text
            process.send_signal(signal.SIGTERM)
            _, errors = process.communicate(timeout=60)
        finally:
            process.kill()
    assert (process.returncode, errors) == (0, "\nStopped. Nothing is left behind.\n")
    assert not list(tmp_path.iterdir())


def test_cannot_start(capsys: pytest.CaptureFixture[str]) -> None:
    """What it cannot start with is said, and the exit code is 2."""
    for arguments, complaint in (
        (["--url", "nowhere:"], "names no store"),
        (["--url", "memory:", "--staff", ""], "1 to 256 characters"),
        (["--port", "70000"], "from 0 to 65535"),
    ):
        with pytest.raises(SystemExit) as stopped:
            main(arguments)
        assert stopped.value.code == 2
        assert complaint in capsys.readouterr().err


def test_without_its_packages(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """If a package is missing, the message names the command that installs it."""
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    for importing in ("examples.support_center.__main__", "examples.centers.serving"):
        monkeypatch.delitem(sys.modules, importing)
    with pytest.raises(SystemExit) as stopped:
        importlib.import_module("examples.support_center.__main__")
    assert stopped.value.code == 2
    assert "make support-center" in capsys.readouterr().err


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SqliteStore]:
    """The demo's ledger."""
    path = tmp_path_factory.mktemp("story") / "consents.db"
    fill(path)
    with closing(SqliteStore(path)) as store:
        yield store


def test_the_story(story: SqliteStore) -> None:
    """The demo has requests of every state, and erasures that wait for a hold, for a holder, and for nothing."""
    with closing(ConsentClient(story, follow=False)) as consent:
        due = consent.due()
        work = make_work_list(due, None, 1)
        assert set(work.counts) == set(RequestState)
        assert sorted((bool(one.holds), one.missing) for one in due.held) == [
            (False, ("tre-xanh-records",)),
            (True, ("tre-xanh-records", "warehouse")),
        ]
        assert [one.missing for one in due.erasable] == [()]
        assert consent.holders() == sorted(HOLDERS)

"""docs/how-to/erasure.md: its commands run, and the erasure that they show waits for both holders."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from diijam_consent_sdk.stores import SqliteStore
from tests.examples.pages import run_page


def test_the_page_runs(tmp_path: Path) -> None:
    """Every command succeeds and prints what the page shows; u-1 is erased, u-2 waits for the accounts."""
    assert run_page("erasure.md", tmp_path) == 15
    with closing(SqliteStore(tmp_path / "consents.db")) as store:
        assert [record.account for record in store.load(["u-1", "u-2"]).records] == ["erased", "closed"]
        assert [owed.user_id for owed in store.erasures("accounts").erasures] == ["u-2"]
        assert store.erasures("mailer").erasures == ()

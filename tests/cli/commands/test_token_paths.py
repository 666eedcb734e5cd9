"""A tokens file that is not there."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import Cli


@pytest.mark.parametrize("word", ["revoke", "rotate"])
def test_a_mistyped_path(cli: Cli, tmp_path: Path, word: str) -> None:
    """A file that is not there does not read as one without the token, which would still be let in."""
    ended = cli("token", word, "mailer", "--tokens", str(tmp_path / "mistyped.json"))
    assert (ended.status, "No such file" in ended.err) == (2, True)

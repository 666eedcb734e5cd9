"""The page on imports: its commands run on its own CSV, and its script decides as it says."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from .pages import ROOT, run_page

HEADER = "customer,created_at,opted_in,opted_in_at,source,notice,unsubscribed,unsubscribed_at"
SCRIPT = ROOT / "examples" / "import_shop.py"


def words(row: str) -> list[str]:
    """The events that the script makes of a row, each with the method and the day on which it was said."""
    data = f"\ufeff{HEADER}\r\n{row}\r\n".encode()
    ran = subprocess.run([sys.executable, SCRIPT], input=data, capture_output=True, check=True)
    made = [json.loads(line) for line in ran.stdout.splitlines()]
    return [f"{m['event']['type']} {m['provenance'].get('said_at', 'undated')[:10]}" for m in made]


def test_the_commands_of_the_page_print_what_it_shows(tmp_path: Path) -> None:
    """Each command succeeds, and its output has the lines of the page; the script is no longer than it says."""
    assert run_page("import.md", tmp_path) >= 10
    assert not (tmp_path / "shop.jsonl.resume").exists()
    assert len(SCRIPT.read_text(encoding="utf-8").splitlines()) <= 50


@pytest.mark.parametrize(
    ("row", "made"),
    [
        ("u,2023-01-01,yes,2023-02-01,box,n,no,", ["AccountOpened 2023-01-01", "Granted 2023-02-01"]),
        ("u,2023-01-01,yes,,box,n,no,", ["AccountOpened 2023-01-01"]),
        ("u,2023-01-01,Yes?,2023-02-01,box,n,no,", ["AccountOpened 2023-01-01"]),
        ("u,,yes,2023-02-01,box,n,no,", ["AccountOpened 2023-02-01", "Granted 2023-02-01"]),
        ("u,2023-03-01,yes,2023-02-01,box,n,no,", ["AccountOpened 2023-03-01", "Granted 2023-02-01"]),
        ("u,,,,,,1,", ["Withdrawn undated"]),
        ("u,,,,,,no,2023-05-01", ["Withdrawn 2023-05-01"]),
        (
            "u,2023-01-01,yes,2023-02-01,box,n,TRUE,",
            ["AccountOpened 2023-01-01", "Granted 2023-02-01", "Withdrawn undated"],
        ),
        (
            "u,2023-01-01,yes,2024-02-01,box,n,yes,2023-05-01",
            ["AccountOpened 2023-01-01", "Withdrawn 2023-05-01", "Granted 2024-02-01"],
        ),
        (
            "u,2023-01-01,yes,2023-05-01,box,n,yes,2023-05-01",
            ["AccountOpened 2023-01-01", "Granted 2023-05-01", "Withdrawn 2023-05-01"],
        ),
        (
            "u,2023-01-01,yes,2023-05-01 09:00,box,n,yes,2023-05-01",  # at which hour?
            ["AccountOpened 2023-01-01", "Granted 2023-05-01", "Withdrawn 2023-05-01"],
        ),
        (
            "u,2023-01-01,yes,2023-05-01 09:00,box,n,yes,2023-05-01 08:00",
            ["AccountOpened 2023-01-01", "Withdrawn 2023-05-01", "Granted 2023-05-01"],
        ),
        ("u,,no,,,,no,", []),
    ],
)
def test_the_script_decides_for_processing_less(row: str, made: list[str]) -> None:
    """A yes needs its word and its date; a no needs neither, and comes after a yes of the same time."""
    assert words(row) == made


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (f"{HEADER}\nu,,,,Đông,,1,\n".encode("utf-16"), "no CSV in UTF-8"),
        (f"{HEADER}\nu,,,,,,1,\n".encode("utf-16-le"), "no CSV in UTF-8"),
        (f"{HEADER}\nu,,,,caf\xe9,,1,\n".encode("cp1252"), "no CSV in UTF-8"),
        (f"{HEADER}\nu,,,,Đông,,1,\n".encode("cp1258"), "no CSV in UTF-8"),
        (HEADER.replace(",", ";").encode(), "with commas and the columns customer, created_at"),
        (b"", "no CSV in UTF-8"),
        (b"PK\x03\x04\0\0" + bytes(range(256)), "no CSV in UTF-8"),
        (f"{HEADER}\nu-secret,2023-01-01,no,,,,no,\nu-secret,08/03/2023,no,,,,no,\n".encode(), "line 3 has a time"),
    ],
    ids=["UTF-16", "UTF-16 without mark", "cp1252", "cp1258", "semicolons", "empty", "binary", "other times"],
)
def test_a_csv_that_it_cannot_read(data: bytes, told: str) -> None:
    """It says so in one line that shows nothing of a customer, and makes no lines: the rest might hold a no."""
    ran = subprocess.run([sys.executable, SCRIPT], input=data, capture_output=True, check=False)
    assert (ran.returncode, ran.stdout) == (1, b"")
    said = ran.stderr.decode().splitlines()
    assert len(said) == 1
    assert told in said[0]
    assert "u-secret" not in said[0]

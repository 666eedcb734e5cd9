"""CSV lists of customers, read and written in the dialect of the input."""

from __future__ import annotations

from pathlib import Path

import pytest

from diijam_consent_sdk.cli.input import MAX_LINE_BYTES
from tests.cli.conftest import CSV, MAIL, MAILABLE, Cli, Ledger, counts


def test_csv(audience: Path, cli: Cli, tmp_path: Path) -> None:
    """CSV in, CSV out: the whole rows of those who may, below the same header."""
    result = cli(*MAIL, *CSV, "--output", "ok.csv")
    assert (result.status, result.out) == (0, "")
    assert (tmp_path / "ok.csv").read_bytes() == "name,user_id\nLê Thị Bé,u-1\n".encode()
    assert counts(result.err)["permitted"] == 1
    assert sorted(path.name for path in tmp_path.iterdir() if "consents" not in path.name) == ["audience.csv", "ok.csv"]


def test_csv_is_kept_as_it_was(mailable: Ledger, cli: Cli) -> None:
    """The mark, quotes, commas, line ends within fields, and what is no UTF-8 come out meaning what they meant."""
    data = b'\xef\xbb\xbfuser_id,note\r\n\r\nu-1,"a ""b"", c\nd"\r\nu-2,"x\ry"\r\nu-3,caf\xe9\r\n'
    for user_id in ("u-2", "u-3"):
        mailable.record(user_id, *MAILABLE)
    result = cli(*MAIL, "--column", "user_id", "--output", "ok.csv", stdin=data)
    assert result.status == 0
    assert Path("ok.csv").read_bytes() == b'\xef\xbb\xbfuser_id,note\nu-1,"a ""b"", c\nd"\n"u-2","x\ry"\nu-3,caf\xe9\n'


@pytest.mark.parametrize(
    ("data", "kept"),
    [
        (b'user_id;n\r\nu-1;"a;b"\r\nu-2;x\r\n', b'user_id;n\nu-1;"a;b"\n'),
        (b"user_id\tn\nu-1\tx, y\n", b"user_id\tn\nu-1\tx, y\n"),
        (b"n|user_id\nx|u-1\n", b"n|user_id\nx|u-1\n"),
        (b"sep=;\r\nuser_id;n\r\nu-1;x\r\n", b"sep=;\nuser_id;n\nu-1;x\n"),
        (b'\xef\xbb\xbf"sep=\t"\nuser_id\tn\nu-1\tx\n', b"\xef\xbb\xbfsep=\t\nuser_id\tn\nu-1\tx\n"),
        (b"user_id,n\nu-1,x\n,\n,\n\n", b"user_id,n\nu-1,x\n"),
        (b"\xef\xbb\xbfuser_id,n\nu-2,y\n\xef\xbb\xbfuser_id,n\nu-1,x\n", b"\xef\xbb\xbfuser_id,n\nu-1,x\n"),
    ],
    ids=["semicolons", "tabs", "bars", "sep-line", "mark-and-sep-line", "empty-rows", "joined"],
)
def test_csv_of_excel(mailable: Ledger, cli: Cli, data: bytes, kept: bytes) -> None:
    """What Excel and its kin write is understood, and comes out with the separator and the mark it came with."""
    result = cli(*MAIL, "--column", "user_id", "--output", "ok.csv", stdin=data)
    assert (result.status, Path("ok.csv").read_bytes()) == (0, kept)
    assert [n for name, n in counts(result.err).items() if name.startswith("malformed")] == [0]


def test_header_only(mailable: Ledger, cli: Cli) -> None:
    """A CSV file of nobody gives one of nobody."""
    assert cli(*MAIL, "--column", "id", stdin=b"id,name\n").out == "id,name\n"


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"", "the input is empty: a CSV begins with the names of its columns"),
        (b"id,name\nu-1,x\n", "there is no column 'user_id' among the 2 of the first line, separated by ',': a CSV"),
        (b"sep=;\nid;a;b\nu-1;x;y\n", "there is no column 'user_id' among the 3 of the first line, separated by ';'"),
        (b"user_id,user_id\nu-1,u-2\n", "2 columns are called 'user_id': rename all but one"),
        (b"user_id,n\nu-1,x\nu-2\n", "the CSV row on line 3 has 1 fields, the header 2: correct it"),
        (b"user_id,n\nu-1,x,y\n", "the CSV row on line 2 has 3 fields, the header 2: correct it"),
        (b'user_id,n\nu-1,"x\ny"z\n', "the CSV row that begins on line 2 is broken: ',' expected after '\"': correct"),
        (b'user_id,n\nu-1,x\nu-2,"y\nu-3,z\n', "the CSV row that begins on line 3 is broken: unexpected end of data"),
        (b'user_id,n\nu-1,"' + b"y\n" * 99_999, "the CSV row that begins on line 2 is broken: field larger than field"),
        (b"user_id,n\nu-1,a\rb\n", "the CSV row that begins on line 2 is broken: new-line character seen in unquoted"),
        (b"user_id,n\nu-1,x\nu-2,\0\n", "line 3 holds a NUL byte: save the file as UTF-8 CSV"),
        (b"user_id\n" + b"x" * MAX_LINE_BYTES, "line 2 is longer than 1 MiB: is this CSV?"),
    ],
)
def test_broken_csv(mailable: Ledger, cli: Cli, tmp_path: Path, data: bytes, error: str) -> None:
    """Broken CSV is one line of error that says where, exits 2, and gives no output, not even in part."""
    for output in ("ok.csv", "-"):
        result = cli(*MAIL, "--column", "user_id", "--output", output, stdin=data)
        assert (result.status, result.out, result.err.count("\n")) == (2, "", 1)
        assert result.err.startswith(f"error: {error}")
        assert "nothing was written" in result.err
        assert {path.name for path in tmp_path.iterdir() if "ok.csv" in path.name} <= {"ok.csv.resume"}

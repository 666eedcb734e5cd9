"""Reading input: what is not text in UTF-8 is refused by name."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import re
import zipfile

import pytest

from diijam_consent_sdk.cli.input import MAX_LINE_BYTES
from tests.cli.conftest import MAIL, Cli, Ledger
from tests.cli.fakes import Feed


def zipped(data: bytes) -> bytes:
    """As .xlsx files are."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("xl/workbook.xml", data)
    return file.getvalue()


@pytest.mark.parametrize(
    ("data", "is_called"),
    [
        ("u-1\r\nu-2\r\n".encode("utf-16"), "UTF-16"),
        ("u-1\r\n".encode("utf-16-le"), "UTF-16 or UTF-32 without its mark"),
        ("u-1\r\n".encode("utf-16-be"), "UTF-16 or UTF-32 without its mark"),
        ("\ufeffu-1\n".encode("utf-16-be"), "UTF-16"),
        ("u-1\n".encode("utf-32"), "UTF-32"),
        ("\ufeffu-1\n".encode("utf-32-be"), "UTF-32"),
        ("\u00ef\u00bb\u00bfu-1\n".encode(), "UTF-8 that was taken for Latin-1"),
        (gzip.compress(b"u-1\n"), "a gzip file"),
        (bz2.compress(b"u-1\n"), "a bzip2 file"),
        (lzma.compress(b"u-1\n"), "an xz file"),
        (b"\x28\xb5\x2f\xfd\x04\x00\x21\x00\x00u-1\n", "a Zstandard file"),
        (zipped(b"u-1\n"), "an Excel file (.xlsx), or another ZIP archive"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(504), "an old Excel file (.xls)"),
        (b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n", "a PDF file"),
        (b"PAR1\x15\x04\x15\x10", "a Parquet file"),
        (b"ARROW1\0\0", "an Arrow file"),
        (b"Obj\x01\x04", "an Avro file"),
        (b"SQLite format 3\0", "an SQLite database"),
        (b"<html><table><tr><td>u-1\n", "HTML or XML"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",  # bytes with a time in them have other names each time
)
@pytest.mark.parametrize("options", [(), ("--column", "user_id")], ids=["ids", "csv"])
def test_a_list_that_is_no_text(
    mailable: Ledger, cli: Cli, data: bytes, is_called: str, options: tuple[str, ...]
) -> None:
    """It is refused by the name of what it is, with what to do: nobody is left out for the form of a file."""
    result = cli(*MAIL, *options, stdin=data)
    assert (result.status, result.out) == (2, "")
    assert result.err.startswith(f"error: the input is {is_called}")
    assert "u-1" not in result.err


@pytest.mark.parametrize("options", [(), ("--column", "user_id")], ids=["ids", "csv"])
@pytest.mark.parametrize("data", [b"user_id\ru-1\ru-2\r", b"user_id\ru-1", b"u-1\r" * MAX_LINE_BYTES], ids=len)
def test_lines_that_end_with_cr_alone(mailable: Ledger, cli: Cli, data: bytes, options: tuple[str, ...]) -> None:
    """Excel's form for the Macintosh is no single malformed id: it is refused by name."""
    result = cli(*MAIL, *options, stdin=data)
    assert (result.status, result.out) == (2, "")
    assert result.err.startswith("error: the lines of the input end with CR alone")


@pytest.mark.parametrize(
    ("data", "error"),
    [
        ("café\nu-1\n".encode("latin-1"), "line 1 is not UTF-8 (Latin-1, or a code page of Windows?)"),
        ("u-1\nHoàng\n".encode("cp1258"), "line 2 is not UTF-8 (Latin-1, or a code page"),
        (b"u-1\n\xff\xfeu\0-\x002\0\n\0", "line 2 is not UTF-8"),
        (b"u-1\n" * 2000 + "u-2\n".encode("utf-16-le"), "line 2001 is UTF-16 (another file was joined"),
        (b'["u-1", "u-2"]', "this looks like JSON: give the ids one a line"),
        (b'[\n  "u-1"\n]\n', "this looks like JSON: give the ids one a line"),
        (b'{\r\n  "ids": [\r\n', "this looks like JSON: give the ids one a line"),
        (b'[[\n"u-1"]]', "this looks like JSON: give the ids one a line"),
        (b'{"user_id": "u-1"}\n', "this looks like JSON: give the ids one a line"),
        (b'"u-1"\n', "this looks like CSV: add --column"),
        (b"u-1;Lan\n", "this looks like CSV: add --column"),
        (b"u-1\tLan\n", "this looks like CSV: add --column"),
        (b"sep=,\nu-1\n", "this looks like CSV: add --column"),
    ],
    ids=str,
)
def test_a_list_of_another_kind(mailable: Ledger, cli: Cli, data: bytes, error: str) -> None:
    """A text that is no list of ids is refused with what it looks like, and nothing of it is shown."""
    result = cli(*MAIL, stdin=data)
    assert (result.status, result.out) == (2, "")
    assert result.err.startswith(f"error: {error}")
    assert "u-1" not in result.err
    assert "Lan" not in result.err


@pytest.mark.parametrize("options", [(), ("--column", "user_id")], ids=["ids", "csv"])
@pytest.mark.parametrize(
    "data",
    [
        b"u-1,somebody,0900000001\nu-2,other,0900000002\n",
        b"somebody\tu-1\n",
        b"somebody;u-1;0900000001\n",
        b"sep=;\nsomebody;u-1\n",
        b'"somebody, 0900000001",u-1\n',
        b'user_id,name\nu-1,"somebody"x\n',
        b"user_id,name\nu-1,somebody,0900000001\n",
        b"user_id,name\nu-1,somebody\0\n",
        b"user_id,user_id,somebody\nu-1,u-2,u-3\n",
    ],
    ids=str,
)
def test_no_error_shows_a_customer(mailable: Ledger, cli: Cli, data: bytes, options: tuple[str, ...]) -> None:
    """Errors land in logs: none shows a cell of the list, header or not."""
    result = cli(*MAIL, *options, stdin=data)
    assert (result.status, result.out) == (2, "")
    assert not {"somebody", "0900000001", "u-1"} & set(re.split(r"[^\w-]", result.err))


def test_closed_input(mailable: Ledger, cli: Cli) -> None:
    """Without standard input there is nothing to read, which is an error."""
    result = cli(*MAIL, stdin=None)
    assert (result.status, result.err) == (2, "error: standard input is closed: name a file\n")


def test_typed_input(mailable: Ledger, cli: Cli) -> None:
    """Reading from a terminal begins with a hint how to end."""
    result = cli(*MAIL, stdin=Feed([b"u-1\n"]), isatty=True)
    assert (result.status, result.out) == (0, "u-1\n")
    assert result.err.startswith("reading from the terminal: end with Ctrl-D on a line of its own\n")

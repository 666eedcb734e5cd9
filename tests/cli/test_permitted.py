"""`diijam-consent permitted`."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import re
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from diijam_consent_sdk.cache.user import UserConsent
from diijam_consent_sdk.cli.commands.permitted.tally import Tally
from diijam_consent_sdk.cli.input import MAX_LINE_BYTES
from diijam_consent_sdk.decisions import STALE, UNAVAILABLE, Decision
from diijam_consent_sdk.errors import StoreUnavailable
from diijam_consent_sdk.stores import Loaded, SqliteStore
from tests.cli.conftest import MAILABLE, Cli, Ledger
from tests.cli.fakes import Feed, Terminal, then

MAIL = ("permitted", "market", "email")
CSV = ("--input", "audience.csv", "--column", "user_id")


@pytest.fixture
def audience(tmp_path: Path, mailable: Ledger) -> Path:
    """A CSV file of a customer who may be mailed, one who may not, and one nobody knows."""
    mailable.record("u-2", MAILABLE[0])
    path = tmp_path / "audience.csv"
    path.write_text("name,user_id\nLê Thị Bé,u-1\nÁnh,u-2\nBảo,u-3\n", encoding="utf-8")
    return path


def zipped(data: bytes) -> bytes:
    """As .xlsx files are."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("xl/workbook.xml", data)
    return file.getvalue()


def counts(err: str) -> dict[str, int]:
    """The summary's numbers by the words before them."""
    rows = [line.split() for line in err.splitlines()[1:]]
    return {" ".join(row[:-1]): int(row[-1].replace(",", "")) for row in rows}


def test_ids(mailable: Ledger, cli: Cli) -> None:
    """Ids in, ids out: those who may, in order, each once; the rest is counted."""
    mailable.record("Nguyễn Văn A", *MAILABLE)
    mailable.record("u-2", MAILABLE[0])
    ids = ["Nguyễn Văn A", "u-2", "u-1", "nobody", "u-1", "u-2", "", "x" * 300, "a\x07", "u-1\x00"]
    result = cli(*MAIL, stdin="\n".join(ids).encode())
    assert (result.status, result.out) == (0, "Nguyễn Văn A\nu-1\n")
    assert counts(result.err) == {
        "permitted": 2,
        "yes consented 4": 2,
        "no not_consented 4": 1,
        "no unknown_user 3": 1,
        "duplicates": 2,
        "malformed ids lines 7, 8, 9, …": 4,
    }


@pytest.mark.parametrize(
    ("data", "malformed"),
    [
        (b"\xef\xbb\xbfu-1\r\n", 0),
        (b"u-1", 0),
        (b"", 0),
        (b"\xef\xbb\xbfu-0\r\n\xef\xbb\xbfu-1\r\n", 0),
        (b"\xef\xbb\xbfu-0\r\n\xef\xbb\xbf\xef\xbb\xbfu-1\r\n", 0),
        (b"\xef\xbb\xbfu-0\xef\xbb\xbfu-2\nu-1\n", 1),
        (b"\xc2\xa0u-2\nu-1\n", 1),
        (b"u-0\n" * 1000 + b"caf\xe9\nu-1\n", 1),
        (b"u-0\ru-1\nu-1\n", 1),
        (b"x" * (2 * MAX_LINE_BYTES + 9) + b"\nu-1\n", 1),
        (b"y" * MAX_LINE_BYTES, 1),
    ],
    ids=[
        "bom-crlf",
        "no-last-lf",
        "empty",
        "joined",
        "joined-with-empty",
        "joined-without-lf",
        "no-break-space",
        "latin-1-far-down",
        "bare-cr",
        "endless-line",
        "endless-last-line",
    ],
)
def test_spellings(mailable: Ledger, cli: Cli, data: bytes, malformed: int) -> None:
    """Whatever bytes come, an id is found or counted as malformed; nothing crashes."""
    result = cli(*MAIL, stdin=data)
    assert (result.status, result.out) == (0, "u-1\n" if b"u-1" in data else "")
    assert [n for name, n in counts(result.err).items() if name.startswith("malformed")] == [malformed]


def test_csv(audience: Path, cli: Cli, tmp_path: Path) -> None:
    """CSV in, CSV out: the whole rows of those who may, below the same header."""
    result = cli(*MAIL, *CSV, "--output", "ok.csv")
    assert (result.status, result.out) == (0, "")
    assert (tmp_path / "ok.csv").read_bytes() == "name,user_id\nLê Thị Bé,u-1\n".encode()
    assert counts(result.err)["permitted"] == 1
    assert sorted(path.name for path in tmp_path.iterdir() if "consents" not in path.name) == ["audience.csv", "ok.csv"]


def test_reasons(audience: Path, cli: Cli) -> None:
    """With --reasons everybody is written, with the reason and the clause of their answer."""
    assert cli(*MAIL, *CSV, "--reasons").out == (
        "name,user_id,reason,clause\nLê Thị Bé,u-1,consented,4\nÁnh,u-2,not_consented,4\nBảo,u-3,unknown_user,3\n"
    )


def test_reasons_of_ids(mailable: Ledger, cli: Cli) -> None:
    """With --reasons, ids come out as CSV too."""
    result = cli(*MAIL, "--reasons", stdin=b"u-1\nu,2\nu-1\n")
    assert result.out == 'user_id,reason,clause\nu-1,consented,4\n"u,2",unknown_user,3\n'


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


def test_columns_of_reasons_are_taken(mailable: Ledger, cli: Cli) -> None:
    """--reasons does not make two columns of one name."""
    result = cli(*MAIL, "--reasons", "--column", "user_id", stdin=b"user_id,clause\nu-1,x\n")
    assert (result.status, result.out) == (2, "")
    assert "--reasons adds a column 'clause', and the input has one: rename that" in result.err


@pytest.mark.parametrize(
    ("ask", "permitted"),
    [
        (["share", "acme", "--purpose", "surveys", "--data", "email"], ""),
        (["process", "fraud_detection", "--no-data"], "u-1\n"),
        (["retain", "payment"], "u-1\n"),
        (["show", "avatar"], ""),
    ],
)
def test_every_ask(mailable: Ledger, cli: Cli, ask: list[str], permitted: str) -> None:
    """Any ask can be put for many."""
    assert cli("permitted", *ask, stdin=b"u-1\n").out == permitted


def test_wrong_words(mailable: Ledger, cli: Cli) -> None:
    """What cannot be meant is refused before the input is touched."""
    stdin = Feed(then(AssertionError("read")))
    assert cli("permitted", "market", "fax", stdin=stdin).err.startswith("error: unknown Channel 'fax'; known: email")


def test_streams(mailable: Ledger, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """Customers are asked about in batches while the list is still being read, and a bar on a terminal follows."""
    shown = Terminal()
    monkeypatch.setattr("sys.stderr", shown)
    asked: list[int] = []
    furthest_ahead = 0

    def ids() -> Iterator[bytes]:
        nonlocal furthest_ahead
        for number in range(12_600):
            furthest_ahead = max(furthest_ahead, number - len(asked))
            yield b"u-%d\n" % number

    class Counting(Tally):
        """A tally that notes each answer as it is given."""

        def add(self, decision: Decision) -> None:
            """See `Tally.add`."""
            asked.append(decision.clause)
            super().add(decision)

    monkeypatch.setattr("diijam_consent_sdk.cli.commands.permitted.Tally", Counting)
    assert cli(*MAIL, stdin=Feed(ids())).out == "u-1\n"
    assert 900 < furthest_ahead <= 10_000
    assert "checking" in shown.getvalue()
    assert "12,500 users" in shown.getvalue()
    assert " a second" in shown.getvalue()


def test_progress_through_a_file(mailable: Ledger, cli: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The bar knows how much of a file is read."""
    shown = Terminal()
    monkeypatch.setattr("sys.stderr", shown)
    (tmp_path / "ids.txt").write_text("".join(f"u-{number:04}\n" for number in range(500)))
    assert cli(*MAIL, "--input", "ids.txt").status == 0
    assert "100%" in shown.getvalue()
    assert " left" in shown.getvalue()


def test_could_not_be_checked(audience: Path, mailable: Ledger, cli: Cli, tmp_path: Path) -> None:
    """A customer who cannot be checked is no customer's no: no output, exit 2, how many, and why, but not who."""
    mailable.tamper("UPDATE records SET record = '{}' WHERE user_id = 'u-2'")
    for output in ("ok.csv", "-"):
        result = cli(*MAIL, *CSV, "--output", output)
        assert (result.status, result.out) == (2, "")
        assert result.err.startswith(
            "error: 3 of the customers could not be checked, which is no customer's no: the database"
        )
        assert result.err.count("\n") == 1
        assert "nothing was written" in result.err
        assert "u-2" not in result.err
    assert not (tmp_path / "ok.csv").exists()


@pytest.mark.parametrize("unknown", [UNAVAILABLE, STALE], ids=["unavailable", "stale"])
def test_could_not_be_checked_just_then(
    audience: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch, unknown: Decision
) -> None:
    """The same for one customer of many, although the store has come back since."""
    decide = UserConsent.decide
    monkeypatch.setattr(UserConsent, "decide", lambda u, ask: unknown if u.user_id == "u-2" else decide(u, ask))
    result = cli(*MAIL, *CSV, "--output", "ok.csv")
    assert result.err == (
        "error: 1 of the customers could not be checked, which is no customer's no: the store answers again,"
        " run the same command again; nothing was written to ok.csv; checked so far: 1; add --resume to the same"
        " command to go on\n"
    )


def test_gives_up_when_many_cannot_be_checked(mailable: Ledger, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """With nothing to come of it, the rest of a long list is not waited for."""

    def load(store: SqliteStore, user_ids: Iterable[str]) -> Loaded:
        """As a store that is out of reach for every question about somebody."""
        if wanted := list(user_ids):
            raise StoreUnavailable(f"out of reach for {len(wanted)} users")
        return whole(store, wanted)

    whole = SqliteStore.load
    monkeypatch.setattr(SqliteStore, "load", load)
    ids = iter(range(10_000))
    result = cli(*MAIL, stdin=Feed(b"u-%d\n" % number for number in ids))
    assert result.status == 2
    assert next(ids) < 5_000
    assert result.err.startswith("error: 1,000 or more of the customers could not be checked")


def test_old_output_stays(audience: Path, cli: Cli, tmp_path: Path) -> None:
    """An output that was there is replaced by a whole one, and left alone by a failure."""
    (tmp_path / "ok.csv").write_text("old")
    assert cli(*MAIL, "--column", "nil", "--input", "audience.csv", "--output", "ok.csv").status == 2
    assert (tmp_path / "ok.csv").read_text() == "old"
    assert cli(*MAIL, *CSV, "--output", "ok.csv").status == 0
    assert (tmp_path / "ok.csv").read_text().count("\n") == 2


def test_in_place(audience: Path, cli: Cli) -> None:
    """The input may be the output."""
    assert cli(*MAIL, *CSV, "--output", "audience.csv").status == 0
    assert audience.read_text(encoding="utf-8") == "name,user_id\nLê Thị Bé,u-1\n"


def test_output_through_a_link(audience: Path, cli: Cli, tmp_path: Path) -> None:
    """A link to the output stays a link."""
    (tmp_path / "link.csv").symlink_to(tmp_path / "ok.csv")
    assert cli(*MAIL, *CSV, "--output", "link.csv").status == 0
    assert (tmp_path / "link.csv").is_symlink()
    assert (tmp_path / "ok.csv").read_text(encoding="utf-8").endswith("u-1\n")


@pytest.mark.parametrize(
    ("output", "error"),
    [
        (".", "error: . is no regular file: name another, or leave --output out to write to standard output\n"),
        ("/dev/null", "error: /dev/null is no regular file: "),
        ("nowhere/ok.csv", "error: nowhere/ok.csv: No such file or directory: see that the path is right; nothing was"),
    ],
)
def test_output_that_cannot_be(mailable: Ledger, cli: Cli, output: str, error: str) -> None:
    """A place that cannot be written is told before anything is read."""
    result = cli(*MAIL, "--output", output, stdin=Feed(then(AssertionError("read"))))
    assert (result.status, result.out) == (2, "")
    assert error in result.err
    assert Path("/dev/null").is_char_device()


@pytest.mark.parametrize(
    ("output", "said"),
    [
        ("ok.csv", "stopped: nothing was written to ok.csv"),
        (
            "-",
            "stopped: nothing was written; run the same command again; with --output FILE one that is stopped can go",
        ),
    ],
)
def test_interrupted(mailable: Ledger, cli: Cli, tmp_path: Path, output: str, said: str) -> None:
    """Ctrl-C leaves no output, and says so."""
    result = cli(*MAIL, "--output", output, stdin=Feed(then(KeyboardInterrupt(), b"u-1\n")))
    assert (result.status, result.out, result.err.count("\n")) == (130, "", 1)
    assert result.err.startswith(said)
    assert not (tmp_path / "ok.csv").exists()


def test_interrupted_when_all_is_done(audience: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C when the output has just got its name does not take it away, and says so."""
    replace = Path.replace

    def replace_and_stop(beside: Path, path: Path) -> None:
        replace(beside, path)
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", replace_and_stop)
    result = cli(*MAIL, *CSV, "--output", "ok.csv")
    assert (result.status, result.err) == (130, "stopped: ok.csv is complete\n")
    assert Path("ok.csv").exists()


def test_closed_input(mailable: Ledger, cli: Cli) -> None:
    """Without standard input there is nothing to read, which is an error."""
    result = cli(*MAIL, stdin=None)
    assert (result.status, result.err) == (2, "error: standard input is closed: name a file\n")


def test_typed_input(mailable: Ledger, cli: Cli) -> None:
    """Who types the ids is told how to end."""
    result = cli(*MAIL, stdin=Feed([b"u-1\n"]), isatty=True)
    assert (result.status, result.out) == (0, "u-1\n")
    assert result.err.startswith("reading from the terminal: end with Ctrl-D on a line of its own\n")

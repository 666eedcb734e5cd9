"""Event files, checked whole before anything is written."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from diijam_consent_sdk import events as e
from diijam_consent_sdk.cli.commands.record.batches import Batch
from diijam_consent_sdk.cli.input import MAX_LINE_BYTES
from tests.cli.conftest import Cli, Ledger

OPENED = {"type": "AccountOpened"}
WITHDRAWN = {"type": "Withdrawn", "purpose": "marketing"}
PUBLISHED = {"type": "Published", "field": "avatar"}


def line(user_id: object, event: object) -> bytes:
    """A line of an event file."""
    return json.dumps({"user_id": user_id, "event": event}, ensure_ascii=False).encode() + b"\n"


def said(event: object, provenance: object) -> bytes:
    """A line with a provenance."""
    return json.dumps({"user_id": "secret-id", "event": event, "provenance": provenance}).encode() + b"\n"


def summary(written: int, known: int, refused: int, kept: int = 0) -> str:
    """What the command says in the end."""
    counts = {"written": written, "already there": known, "left as it is": kept, "refused": refused}
    return "".join(f"{name:<15}{count:>9,} lines\n" for name, count in counts.items())


@pytest.mark.parametrize(
    "data",
    [
        b"\xef\xbb\xbf" + line("u-1", OPENED),
        line("u-1", OPENED).replace(b"\n", b"\r\n"),
        line("u-1", OPENED).rstrip(),
        b"\n  \n" + line("u-1", OPENED) + b"\n",
        b' { "event" : {"type" :"AccountOpened", "origin": "direct"}, "user_id": "u-1"}',
    ],
    ids=["bom", "crlf", "no-last-lf", "blank-lines", "spelled-otherwise"],
)
def test_spellings(ledger: Ledger, cli: Cli, tmp_path: Path, data: bytes) -> None:
    """However a file is spelled, the same events are the same batch: it is not written twice."""
    (tmp_path / "events.jsonl").write_bytes(data)
    assert cli("record", "--file", "events.jsonl").out == summary(1, 0, 0)
    assert cli("record", "--file", "-", stdin=line("u-1", OPENED)).out == summary(0, 1, 0)
    assert ledger.entries() == 1


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        (b"{", "not JSON: Expecting property name enclosed in double quotes at column 2"),
        (b"NaN", "not JSON: NaN"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"user_id": "secret-id\xff"}', "not UTF-8 at byte 23"),
        (b"[]", "a line holds user_id and event, may hold provenance, and nothing else"),
        (b'{"user_id": "secret-id"}', "a line holds user_id and event, may hold provenance, and nothing else"),
        (b'{"user_id": "a", "user_id": "secret-id", "event": {}}', "a name is given twice"),
        (line("secret-id", OPENED)[:-2] + b', "at": 1}', "a line holds user_id and event, may hold provenance, and"),
        (line("", OPENED), "an id has 1 to 256 characters, not 0"),
        (line("secret-id" * 99, OPENED), "an id has 1 to 256 characters, not 891"),
        (line("secret-id\u0007", OPENED), "an id holds no control, invisible, private or unassigned characters and no"),
        (b'{"user_id": "\\ud800", "event": {"type": "AccountOpened"}}', "an id holds no control, invisible"),
        (line(7, OPENED), "an id is a string, not int"),
        (line("secret-id", None), "an event is an object whose type is one of AccountOpened, "),
        (line("secret-id", {"type": "Opened"}), "an event is an object whose type is one of AccountOpened, "),
        (line("secret-id", {"type": ["Granted"]}), "an event is an object whose type is one of AccountOpened, "),
        (line("secret-id", {"type": "Granted"}), "Granted needs purpose and notice"),
        (line("secret-id", OPENED | {"at": "now"}), "AccountOpened has no field …; known: origin"),
        (line("secret-id", {"type": "Objected", "purpose": "greed"}), "Objected: unknown Purpose …; known: "),
        (line("a", {"type": "Objected", "purpose": "secret-id" * 9}), "Objected: unknown Purpose …; known: "),
        (line("a", WITHDRAWN | {"channels": ["secret-id"]}), "Withdrawn: unknown Channel …; known: "),
        (line("a", OPENED | {"secret-id" * 9: 1}), "AccountOpened has no field …; known: origin"),
        (line("a", {"type": "Agreed", "notice": "n", "expires_at": "secret-id"}), "Agreed: a time is written as "),
        (line("secret-id", WITHDRAWN | {"channels": "email"}), "Withdrawn: a set of Channel is needed, not str"),
        (line("secret-id", {"type": "Agreed", "notice": "n", "expires_at": "2126-01-01"}), "Agreed: a time needs its "),
        (line("secret-id", {"type": "Agreed", "notice": "n", "expires_at": 5}), "Agreed: "),
        (said(OPENED, {"method": "secret-id"}), "Provenance: unknown Method …; known: app, "),
        (said(OPENED, {"secret-id": "x"}), "Provenance has no field …; known: by, method, "),
        (said(OPENED, {"method": "import"}), "Provenance: what is imported needs said_at"),
        (said(OPENED, {"method": "import", "said_at": "secret-id"}), "Provenance: a time is written as "),
        (said(OPENED, {"method": "import", "said_at": "2024-01-01"}), "Provenance: a time needs its zone"),
        (said(OPENED, {"said_at": "2024-01-01T00:00:00Z"}), "Provenance: said_at is for Method.IMPORT alone"),
        (said(OPENED, {"language": "secret-id!"}), "Provenance: a language is a BCP 47 tag"),
        (said(OPENED, None), "a provenance is an object with some of by, method, evidence, "),
        (line("x" * MAX_LINE_BYTES, OPENED), "the line is longer than 1 MiB"),
        (b"\xef\xbb\xbf" + line("x" * MAX_LINE_BYTES, OPENED), "the line is longer than 1 MiB"),
    ],
)  # fmt: skip
def test_malformed(ledger: Ledger, cli: Cli, bad: bytes, why: str) -> None:
    """One malformed line and nothing is written, not even a database; the line is named, its user never."""
    is_first = bad.startswith(b"\xef\xbb\xbf")
    lines = [bad.rstrip(b"\n") + b"\n", line("u-1", OPENED)]
    result = cli("record", "--file", "-", stdin=b"".join(lines if is_first else reversed(lines)))
    assert (result.status, result.out, ledger.path.exists()) == (2, "", False)
    assert result.err.startswith("error: 1 line is malformed, nothing was written: correct, then run the same command")
    assert f"\n  line {1 if is_first else 2}: {why}" in result.err
    assert "secret-id" not in result.err


@pytest.mark.parametrize(
    "data", [line("u-1", OPENED).decode().encode("utf-16"), gzip.compress(line("u-1", OPENED))], ids=["utf-16", "gzip"]
)
def test_a_file_that_is_no_text(ledger: Ledger, cli: Cli, data: bytes) -> None:
    """It is refused by the name of what it is, once and not line by line."""
    result = cli("record", "--file", "-", stdin=data)
    assert (result.status, result.out, ledger.path.exists()) == (2, "", False)
    assert result.err.startswith("error: the input is ")
    assert result.err.count("\n") == 1


def test_joined_files(ledger: Ledger, cli: Cli) -> None:
    """Where files with byte-order marks were joined, the marks are left out."""
    mark = b"\xef\xbb\xbf"
    result = cli("record", "--file", "-", stdin=mark + line("u-1", OPENED) + mark + line("u-2", OPENED))
    assert (result.status, result.out) == (0, summary(2, 0, 0))


def test_many_malformed(ledger: Ledger, cli: Cli) -> None:
    """Of many malformed lines the first 20 are named, and the rest counted. If all are, the error says what to do."""
    result = cli("record", "--file", "-", stdin=(line("u-1", OPENED) + b"{\n") * 25)
    head, *named = result.err.splitlines()
    assert head.startswith("error: 25 lines are malformed, nothing was written")
    assert [words.split(":")[0] for words in named[:-1]] == [f"  line {number}" for number in range(2, 41, 2)]
    assert named[-1] == "  and 5 more"
    result = cli("record", "--file", "-", stdin=b"customer,opted_in\nsecret-id,yes\n")
    assert result.err.startswith("error: no line is an event, nothing was written: ")
    assert "docs/how-to/import.md" in result.err


def test_many_events_of_one_user(ledger: Ledger, cli: Cli) -> None:
    """More adjacent lines of one user than an append may have are several appends, and each line counts."""
    lines = [line("u-1", OPENED), *[line("u-2", WITHDRAWN)] * 2_001]
    assert cli("record", "--file", "-", stdin=b"".join(lines)).out == summary(2_002, 0, 0)
    assert ledger.entries() == 2_002
    assert cli("record", "--file", "-", stdin=b"".join(lines)).out == summary(0, 2_002, 0)


def test_empty_file(ledger: Ledger, cli: Cli) -> None:
    """A file with no lines is no error."""
    result = cli("record", "--file", "-")
    assert (result.status, result.out) == (0, summary(0, 0, 0))


@pytest.mark.parametrize(
    ("file", "error"),
    [
        ("missing.jsonl", "error: missing.jsonl: No such file or directory: see that the path is right\n"),
        (".", "error: .: Is a directory: name a file\n"),
    ],
)
def test_unreadable_file(ledger: Ledger, cli: Cli, file: str, error: str) -> None:
    """A file that cannot be read is named, and no database made."""
    assert cli("record", "--file", file).err == error
    assert not ledger.path.exists()


def test_digests_differ() -> None:
    """Another user, label, event, provenance, or order of events is another batch."""
    opened, closed, unsaid, web = e.AccountOpened(), e.AccountClosed(), e.Provenance(), e.Provenance(method="web")
    digests = {
        Batch("u-1", unsaid, [], [opened, closed]).digest(""),
        Batch("u-2", unsaid, [], [opened, closed]).digest(""),
        Batch("u-1", web, [], [opened, closed]).digest(""),
        Batch("u-1", unsaid, [], [opened, closed]).digest("again"),
        Batch("u-1", unsaid, [], [closed, opened]).digest(""),
        Batch("u-1", unsaid, [], [opened]).digest(""),
    }
    assert len(digests) == 6

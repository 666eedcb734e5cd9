"""What the command line writes: through no planted link, for its user alone, on odd file systems too."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import CSV, MAIL, Cli, Ledger
from tests.cli.fakes import Feed, then

MAIL_TO_FILE = (*MAIL, "--output", "ok.txt")
NOTES = Path("ok.txt.resume")
KEPT = "the customers of last year\n"


def belongs_to_another(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Give *path* to another user; a user who may not do that becomes another instead."""
    if os.geteuid() == 0:
        os.chown(path, 12345, -1, follow_symlinks=False)
    else:
        monkeypatch.setattr(os, "geteuid", lambda: 12345)


@pytest.mark.parametrize("resume", [(), ("--resume",)])
@pytest.mark.parametrize("planted", ["link", "dangling", "hard link", "pipe", "folder"])
def test_what_is_planted_as_notes_is_left_as_it_is(
    mailable: Ledger, cli: Cli, planted: str, resume: tuple[str, ...]
) -> None:
    """A link beside the output empties nobody's file, and a pipe is not waited for: an error that names it."""
    target = Path("kept.txt")
    target.write_text(KEPT)
    match planted:
        case "link":
            NOTES.symlink_to(target)
        case "dangling":
            NOTES.symlink_to("nowhere")
        case "hard link":
            NOTES.hardlink_to(target)
        case "pipe":
            os.mkfifo(NOTES)
        case "folder":
            NOTES.mkdir()
    result = cli(*MAIL_TO_FILE, *resume, stdin=b"u-1\n")
    assert (result.status, result.out, result.err.count("\n")) == (2, "", 1)
    assert result.err.startswith("error: ok.txt.resume")
    assert result.err.endswith("nothing was written to ok.txt\n")
    assert (target.read_text(), Path("ok.txt").exists(), Path("nowhere").exists()) == (KEPT, False, False)
    assert NOTES.is_symlink() or NOTES.exists()


@pytest.mark.parametrize("content", [KEPT, "{}\n", "[1]\n", '{"began_at": "2026-11-24T00:00:00Z"}\n', "7", "\0"])
def test_a_file_that_is_no_notes_is_left_as_it_is(mailable: Ledger, cli: Cli, content: str) -> None:
    """A file of the user's own that happens to have the name is not emptied either."""
    NOTES.write_text(content)
    result = cli(*MAIL_TO_FILE, stdin=b"u-1\n")
    assert (result.status, NOTES.read_text()) == (2, content)
    assert result.err == (
        "error: ok.txt.resume is not what an interrupted run leaves: move it away, or choose another --output;"
        " nothing was written to ok.txt\n"
    )
    NOTES.write_bytes(b"")  # what a run leaves that was killed at its start
    assert cli(*MAIL_TO_FILE, stdin=b"u-1\n").status == 0


@pytest.mark.parametrize("resume", [(), ("--resume",)])
def test_notes_of_somebody_else_are_not_taken(
    mailable: Ledger, cli: Cli, monkeypatch: pytest.MonkeyPatch, resume: tuple[str, ...]
) -> None:
    """A checkpoint that another user planted is neither resumed nor emptied."""
    NOTES.write_bytes(b"")
    belongs_to_another(NOTES, monkeypatch)
    result = cli(*MAIL_TO_FILE, *resume, stdin=b"u-1\n")
    assert (result.status, NOTES.exists(), Path("ok.txt").exists()) == (2, True, False)
    assert "is not what an interrupted run leaves" in result.err


def test_a_link_that_somebody_else_planted_is_not_written_through(
    mailable: Ledger, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The list of customers is written where the user says, not where another one's link says."""
    target = Path("kept.txt")
    target.write_text(KEPT)
    Path("ok.txt").symlink_to(target)
    belongs_to_another(Path("ok.txt"), monkeypatch)
    result = cli(*MAIL_TO_FILE, stdin=b"u-1\n")
    assert (result.status, target.read_text(), NOTES.exists()) == (2, KEPT, False)
    assert "this link belongs to user" in result.err


@pytest.mark.parametrize("before", [None, 0o644, 0o666])
def test_only_its_owner_may_read_the_output(mailable: Ledger, cli: Cli, before: int | None) -> None:
    """It holds ids, so whatever the umask is, and whatever lay there before, it is made with mode 0600."""
    output = Path("ok.txt")
    if before is not None:
        output.touch()
        output.chmod(before)
    umask = os.umask(0)
    try:
        assert cli(*MAIL_TO_FILE, stdin=b"u-1\n").status == 0
    finally:
        os.umask(umask)
    assert (stat.S_IMODE(output.stat().st_mode), output.read_text()) == (0o600, "u-1\n")


@pytest.mark.parametrize("code", [errno.EINVAL, errno.ENOTSUP, errno.EIO])
def test_a_folder_that_cannot_be_synced(mailable: Ledger, cli: Cli, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    """Where folders cannot be synced the output is complete all the same, and a note says what that means."""
    sync = os.fsync

    def fsync(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(code, os.strerror(code))
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    result = cli(*MAIL_TO_FILE, stdin=b"u-1\n")
    assert (Path("ok.txt").read_text(), "ok.txt is complete" in result.err) == ("u-1\n", True)
    assert result.status == (2 if code == errno.EIO else 0)  # a disk that fails is no file system that cannot
    assert not NOTES.exists()


@pytest.mark.parametrize("code", [errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS])
def test_a_file_system_without_locks(mailable: Ledger, cli: Cli, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    """Without locks the commands work, say what their user has to see to, and leave nothing behind."""

    def flock(_: int, __: int) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(fcntl, "flock", flock)
    result = cli(*MAIL_TO_FILE, stdin=b"u-1\n")
    assert (result.status, Path("ok.txt").read_text(), NOTES.exists()) == (0, "u-1\n", False)
    assert result.err.startswith("note: this file system has no locks: see that no other process writes to ok.txt")
    assert cli("token", "new", "--tokens", "t.json", "--name", "reader", "--scope", "read").status == 0


@pytest.mark.parametrize(
    "arguments",
    [
        ("check", "u-1", "market", "email"),
        ("history", "u-1"),
        ("verify",),
        ("record", "u-1", "Withdrawn", "--purpose", "marketing"),
        (*MAIL_TO_FILE, "--input", "ids.txt"),
        ("due",),
        ("--help",),
    ],
    ids=" ".join,
)
def test_without_posix(mailable: Ledger, arguments: tuple[str, ...]) -> None:
    """Where Python lacks what only Unix has, as on Windows, the commands work."""
    Path("ids.txt").write_text("u-1\n")
    script = (
        "import os, sys\n"
        "for name in ('fcntl', 'resource', 'grp', 'pwd'): sys.modules[name] = None\n"
        "for name in ('geteuid', 'getuid', 'fchown', 'fchmod', 'O_NOFOLLOW'):"
        " delattr(os, name)\n"
        "from diijam_consent_sdk.cli import main; main()"
    )
    done = subprocess.run([sys.executable, "-c", script, *arguments], capture_output=True, check=False, text=True)
    assert (done.returncode, "Traceback" in done.stderr) == (0, False), done.stderr


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
        (".", "error: . is no regular file: name another, or - for standard output\n"),
        ("/dev/null", "error: /dev/null is no regular file: "),
        ("nowhere/ok.csv", "error: nowhere/ok.csv: No such file or directory: see that the path is right; nothing was"),
    ],
)
def test_output_that_cannot_be(mailable: Ledger, cli: Cli, output: str, error: str) -> None:
    """An output that cannot be written is an error before any input is read."""
    result = cli(*MAIL, "--output", output, stdin=Feed(then(AssertionError("read"))))
    assert (result.status, result.out) == (2, "")
    assert error in result.err
    assert Path("/dev/null").is_char_device()

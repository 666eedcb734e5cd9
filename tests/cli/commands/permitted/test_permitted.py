"""`diijam-consent permitted`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from diijam_consent_sdk.cache.user import UserConsent
from diijam_consent_sdk.cli.commands.permitted.tally import Tally
from diijam_consent_sdk.cli.input import MAX_LINE_BYTES
from diijam_consent_sdk.decisions import NOT_ENTITLED, STALE, UNAVAILABLE, Decision
from diijam_consent_sdk.errors import StoreUnavailable
from diijam_consent_sdk.stores import SqliteStore
from diijam_consent_sdk.stores.protocol import Standings
from tests.cli.conftest import CSV, MAIL, MAILABLE, Cli, Ledger, counts
from tests.cli.fakes import Feed, Terminal, then


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


def test_reasons(audience: Path, cli: Cli) -> None:
    """With --reasons everybody is written, with the reason and the clause of their answer."""
    assert cli(*MAIL, *CSV, "--reasons").out == (
        "name,user_id,reason,clause\nLê Thị Bé,u-1,consented,4\nÁnh,u-2,not_consented,4\nBảo,u-3,unknown_user,3\n"
    )


def test_reasons_of_ids(mailable: Ledger, cli: Cli) -> None:
    """With --reasons, ids come out as CSV too."""
    result = cli(*MAIL, "--reasons", stdin=b"u-1\nu,2\nu-1\n")
    assert result.out == 'user_id,reason,clause\nu-1,consented,4\n"u,2",unknown_user,3\n'


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
    mailable.tamper("UPDATE records SET standing = '{}' WHERE user_id = 'u-2'")
    for output in ("ok.csv", "-"):
        result = cli(*MAIL, *CSV, "--output", output)
        assert (result.status, result.out) == (2, "")
        assert result.err.startswith(
            "error: 1 of the customers could not be checked, which is no customer's no: the store's standings cannot"
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


def test_a_token_that_is_not_for_the_ask(mailable: Ledger, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody is left out for what the token lacks: the command fails and names the scope."""
    monkeypatch.setattr(UserConsent, "decide", lambda *_: NOT_ENTITLED)
    result = cli(*MAIL, stdin=b"u-1\n")
    assert (result.status, result.out) == (2, "")
    assert "error: the service's token lacks the scope ask:marketing, which Market needs: who runs" in result.err


def test_gives_up_when_many_cannot_be_checked(mailable: Ledger, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """With nothing to come of it, the rest of a long list is not waited for."""

    def standings(store: SqliteStore, user_ids: Iterable[str]) -> Standings:
        """As a store that is out of reach for every question about somebody."""
        if wanted := list(user_ids):
            raise StoreUnavailable(f"out of reach for {len(wanted)} users")
        return whole(store, wanted)

    whole = SqliteStore.standings
    monkeypatch.setattr(SqliteStore, "standings", standings)
    ids = iter(range(10_000))
    result = cli(*MAIL, stdin=Feed(b"u-%d\n" % number for number in ids))
    assert result.status == 2
    assert next(ids) < 5_000
    assert result.err.startswith("error: 1,000 or more of the customers could not be checked")


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

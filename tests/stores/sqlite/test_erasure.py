"""Erasure in the bytes: what was erased stands in none of the files, while the store is open and in use."""

from __future__ import annotations

import random
import sqlite3
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import attrs
import pytest
import structlog

from diijam_consent_sdk import events as e
from diijam_consent_sdk.errors import InvalidEvent
from diijam_consent_sdk.stores import SqliteStore
from diijam_consent_sdk.stores.answers import Write
from tests.domain.samples import EACH_EVENT

from ..contract import OPENED, at_once, insist, sign_up
from ..programs import locking, run, running


def content(file: Path) -> bytes:
    """Read a file in another process: to close it in this one would drop SQLite's locks, and others delete the log."""
    return subprocess.run(["cat", file], check=True, capture_output=True).stdout


@attrs.define
class Customer:
    """A user with much in the ledger, and the words that must be gone once the user is erased."""

    chance: random.Random
    user_id: str = ""
    words: list[str] = attrs.field(factory=list)
    holds: list[str] = attrs.field(factory=list)
    said_at: datetime = datetime(2020, 1, 1, tzinfo=UTC)

    def __attrs_post_init__(self) -> None:
        self.user_id = f"user-{self.chance.getrandbits(64):016x}"

    def word(self, longest: int) -> str:
        """A new word that occurs nowhere else."""
        word = f"{self.chance.getrandbits(64):016x}".ljust(self.chance.randrange(16, longest + 1), "z")
        self.words.append(word)
        return word

    def said(self, longest: int) -> e.Provenance:
        """Say something, as nobody else did: with evidence, in a language and at a time that occur nowhere else."""
        self.said_at += timedelta(days=1, microseconds=self.chance.randrange(1, 10**9))
        language = f"vi-x-{self.chance.getrandbits(32):08x}-{self.chance.getrandbits(32):08x}"
        self.words += [language, f"{self.said_at:%Y-%m-%dT%H:%M:%S.%f}Z"]
        return e.Provenance("crm", "import", self.word(longest), language, self.said_at)

    def live(self, store: SqliteStore, longest: int = 40) -> None:
        """Let something happen to this user."""
        is_new = not self.words
        notice, recipient, request, hold = (self.word(longest) for _ in range(4))
        self.holds.append(hold)
        said = self.said(longest)
        ends_at = datetime(2090, 1, 1, tzinfo=UTC) + timedelta(microseconds=self.chance.randrange(10**12))
        self.words.append(f"{ends_at:%Y-%m-%dT%H:%M:%S.%f}")  # which the standing has as well
        batch: list[e.Event] = [
            e.Notified(notice, recipient, ["email", "phone"], "marketing"),
            e.Agreed(notice),
            e.Granted("surveys", self.word(longest), expires_at=ends_at),
            e.HoldPlaced(hold, "tax", ["payment"]),
            e.RequestFiled(request, "access"),
        ]
        if is_new:
            batch.insert(0, OPENED)
        insist(store.append, self.user_id, batch, idempotency_key=self.word(longest), provenance=said)

    def go(self, store: SqliteStore, key: str = "erasure") -> None:
        """Be erased."""
        releases = [e.HoldReleased(hold) for hold in self.holds]
        batch: list[e.Event] = [e.AccountClosed(), *releases, e.Erased()]
        insist(store.append, self.user_id, batch, idempotency_key=key, provenance=self.said(40))

    def left(self, path: Path) -> list[tuple[str, str]]:
        """Which of the words are in which file."""
        files = {file.name: content(file) for file in path.parent.glob(f"{path.name}*")}
        assert path.name in files
        return [(name, word) for name, data in files.items() for word in self.words if word.encode() in data]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the ledger will be."""
    return tmp_path / "ledger.db"


@pytest.fixture
def store(path: Path) -> Iterator[SqliteStore]:
    """A store, open to the end of the test."""
    with closing(SqliteStore(path, busy_seconds=0.2)) as store:
        yield store


@pytest.fixture
def chance() -> random.Random:
    """The same chance each time."""
    return random.Random(7)


def marked(store: SqliteStore) -> bool:
    """Whether the file holds the mark that a scrub is due."""
    with store._database.reading() as db:
        return db.execute("SELECT 1 FROM meta WHERE name = 'scrub'").fetchone() is not None


def test_words_are_found_before(store: SqliteStore, path: Path, chance: random.Random) -> None:
    """What the tests below look for does stand in the files while the user is there, but for idempotency keys."""
    customer = Customer(chance)
    customer.live(store)
    found = {word for _, word in customer.left(path)}
    assert found == set(customer.words[:-1])


def test_nothing_of_an_erased_user_is_in_the_files(store: SqliteStore, path: Path, chance: random.Random) -> None:
    """
    No notice, recipient, hold, request, key, evidence, language or time of saying of an erased user stands in the file,
    its log or its index.
    """
    customer, other = Customer(chance), Customer(chance)
    for _ in range(5):
        customer.live(store)
        other.live(store)
    customer.go(store)
    assert customer.left(path) == []
    assert {word for _, word in other.left(path)}
    assert not marked(store)
    assert store.verify()


def test_no_key_is_in_the_files(store: SqliteStore, path: Path) -> None:
    """Not even the erasure's own idempotency key is kept as it is."""
    sign_up(store, "u-1")
    store.append("u-1", [e.AccountClosed(), e.Erased()], idempotency_key="the-key-of-the-erasure")
    assert not [f for f in path.parent.iterdir() if b"the-key-of-the-erasure" in f.read_bytes()]


def test_each_kind_of_event_is_erased(store: SqliteStore, path: Path) -> None:
    """Whatever event held a word, it is gone."""
    store.append("u-1", [OPENED])
    for event in EACH_EVENT:
        try:
            store.append("u-1", [event])
        except InvalidEvent:
            continue
    words = [b"acme-records", b"n-1", b"n-2", b"h-2", b"q-2", b"avatar", b"marketing"]
    assert [word for word in words if any(word in file.read_bytes() for file in path.parent.iterdir())]
    record = store.load(["u-1"]).records[0]
    if record.account == "open":
        store.append("u-1", [e.AccountClosed()])
    store.append("u-1", [*(e.HoldReleased(hold.hold) for hold in record.live_holds(store.load([]).at)), e.Erased()])
    assert [word for word in words if any(word in file.read_bytes() for file in path.parent.iterdir())] == []


@pytest.mark.parametrize("longest", [16, 40, 256], ids=["short words", "words", "long words"])
def test_no_copy_stays_on_a_page_that_split(longest: int, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    With hundreds of users whose rows grow and move from page to page, nothing of the erased stays on any page: not when
    they are erased, and not in the end.
    """
    monkeypatch.setattr(
        "diijam_consent_sdk.stores.sqlite.schema.PRAGMAS", "PRAGMA secure_delete=ON; PRAGMA synchronous=OFF;"
    )
    chance = random.Random(longest)
    with closing(SqliteStore(path)) as store:
        customers = [Customer(chance) for _ in range(150)]
        for customer in customers + chance.choices(customers, k=300):
            customer.live(store, longest)
        chance.shuffle(customers)
        gone, here = customers[:60], customers[60:]
        for number, customer in enumerate(gone):
            customer.go(store)
            assert customer.left(path) == []
            here[number].live(store, longest)
        assert [left for customer in gone for left in customer.left(path)] == []
        assert store.verify()


def test_nothing_is_left_when_many_are_erased_at_once(path: Path, chance: random.Random) -> None:
    """Threads that write and erase at the same time leave nothing of the erased, and no scrub due."""
    with closing(SqliteStore(path, busy_seconds=5)) as store:
        customers = [Customer(chance) for _ in range(24)]

        def work(number: int) -> None:
            for customer in customers[number::8]:
                customer.live(store)
                customer.go(store)

        at_once(work)
        sign_up(store, "u-1")  # what was postponed is done now
        assert [left for customer in customers for left in customer.left(path)] == []
        assert not marked(store)


POSTPONED = {"event": "store.scrub_postponed", "error": "StoreUnavailable", "log_level": "warning"}


def test_a_reader_postpones_the_scrub(store: SqliteStore, path: Path, chance: random.Random) -> None:
    """An erasure that a reader keeps from the log returns all the same, warns, and a later append does the rest."""
    customer = Customer(chance)
    customer.live(store)
    with locking(path, "BEGIN", "SELECT count(*) FROM entries"):
        with structlog.testing.capture_logs() as logs:
            customer.go(store)
        assert logs == [POSTPONED]
        assert [entry.event for entry in store.history(customer.user_id)] == [e.Erased()]
        assert customer.left(path)
        with structlog.testing.capture_logs() as logs:
            sign_up(store, "u-1")
        assert logs == [POSTPONED]
        assert customer.left(path)
    with structlog.testing.capture_logs() as logs:
        sign_up(store, "u-2")
    assert logs == []
    assert customer.left(path) == []
    assert not marked(store)


def test_many_erasures_wait_for_a_reader_as_one_does(store: SqliteStore, path: Path, chance: random.Random) -> None:
    """An erasure of `append_many` is cleared away once, with the wait of an erasure, and nothing is postponed."""
    customer = Customer(chance)
    customer.live(store)
    releases = [e.HoldReleased(hold) for hold in customer.holds]
    with closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM entries").fetchall()
        ending = threading.Timer(0.2, reader.execute, ["COMMIT"])
        ending.start()
        with structlog.testing.capture_logs() as logs:
            store.append_many([Write(customer.user_id, [e.AccountClosed(), *releases, e.Erased()])])
        ending.join()
    assert logs == []
    assert customer.left(path) == []


def test_a_writer_postpones_the_end_of_the_scrub(store: SqliteStore, path: Path, chance: random.Random) -> None:
    """A lock that comes between the erasure and its scrub makes no error of an erasure that is durable."""
    customer = Customer(chance)
    customer.live(store)
    scrub: Callable[..., None] = store._database.scrub

    def scrub_locked(**options: bool) -> None:
        with locking(path, "BEGIN IMMEDIATE"):
            scrub(**options)

    store._database.scrub = scrub_locked  # type: ignore[method-assign]
    with structlog.testing.capture_logs() as logs:
        customer.go(store)
    assert logs == [POSTPONED]
    store._database.scrub = scrub  # type: ignore[method-assign]
    sign_up(store, "u-1")
    assert customer.left(path) == []


def test_an_erasure_during_anothers_scrub(store: SqliteStore, path: Path, chance: random.Random) -> None:
    """A scrub that ends just after another process erased does not take that one's due scrub for done."""
    customer, other = Customer(chance), Customer(chance)
    customer.live(store)
    other.live(store)
    with closing(SqliteStore(path)) as elsewhere:
        scrub, empty_log = elsewhere._database.scrub, store._database._empty_log

        def emptied_then_erased(db: sqlite3.Connection, *, wait: bool) -> None:
            empty_log(db, wait=wait)
            elsewhere._database.scrub = lambda **_: None  # type: ignore[method-assign]  # not yet
            thread = threading.Thread(target=other.go, args=(elsewhere,))
            thread.start()
            thread.join()

        store._database._empty_log = emptied_then_erased  # type: ignore[method-assign]
        customer.go(store)
        elsewhere._database.scrub = scrub  # type: ignore[method-assign]
        assert other.left(path)
        elsewhere._database.scrub(has_erased=True)
        assert other.left(path) == []
        assert not marked(store)


def test_an_erasure_in_another_thread_during_a_scrub(store: SqliteStore, path: Path, chance: random.Random) -> None:
    """The same goes for two threads of one store."""
    customer, other = Customer(chance), Customer(chance)
    customer.live(store)
    other.live(store)
    empty_log, done = store._database._empty_log, list[bool]()

    def emptied_then_erased(db: sqlite3.Connection, *, wait: bool) -> None:
        empty_log(db, wait=wait)
        if not done:
            done.append(True)
            thread = threading.Thread(target=other.go, args=(store,))
            thread.start()
            thread.join()

    store._database._empty_log = emptied_then_erased  # type: ignore[method-assign]
    customer.go(store)
    assert customer.left(path) + other.left(path) == []
    assert not marked(store)


@pytest.mark.parametrize("moment", ["before the commit", "before the scrub", "during the scrub"])
def test_a_process_that_dies_leaves_the_scrub_to_the_next(moment: str, path: Path, chance: random.Random) -> None:
    """A process killed between erasing and scrubbing leaves a mark; the next process to open the file scrubs it."""
    customer = Customer(chance)
    with closing(SqliteStore(path)) as store:
        customer.live(store)
        customer.live(store)
    code = """
        store = SqliteStore(path)
        def die(*_, **__):
            os.kill(os.getpid(), signal.SIGKILL)
        setattr(store._database, sys.argv[2], die)
        try:
            releases = [HoldReleased(hold) for hold in store.load([sys.argv[3]]).records[0].holds]
            say("erasing")
            store.append(sys.argv[3], [AccountClosed(), *releases, Erased()], idempotency_key="erasure")
        finally:
            say("it lived")
    """
    methods = {"before the commit": "mark_scrub_due", "before the scrub": "scrub", "during the scrub": "_empty_log"}
    with running(path, code, methods[moment], customer.user_id) as program:
        said, errors = program.communicate(timeout=60)
        assert (said, program.returncode) == ("erasing\n", -9), errors
    assert customer.left(path)
    with closing(SqliteStore(path)) as store:
        if moment == "before the commit":
            assert len(store.history(customer.user_id)) > 1
            customer.go(store)
        assert len(store.history(customer.user_id)) == 1
        assert customer.left(path) == []
        assert not marked(store)
        assert store.verify()


def test_another_process_that_reads_sees_the_tombstone_alone(path: Path, chance: random.Random) -> None:
    """An erasure in one process is an erasure in all, also for kept answers."""
    customer = Customer(chance)
    with closing(SqliteStore(path)) as store:
        customer.live(store)
        customer.go(store)
    code = """
        store = SqliteStore(path)
        say(len(store.history(sys.argv[2])), store.load([sys.argv[2]]).records[0].account)
    """
    assert run(path, code, customer.user_id) == ["1 erased"]

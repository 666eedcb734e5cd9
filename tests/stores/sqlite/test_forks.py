"""Stores and forks: a child opens its own connections, and nothing it does or leaves harms the parent."""

from __future__ import annotations

import threading
from contextlib import closing
from pathlib import Path

import pytest

from diijam_consent_sdk.stores import SqliteStore
from diijam_consent_sdk.stores._fork_safety import Gate

from ..contract import sign_up
from ..programs import heard, locking, run, running, tell

FORKING = """
    from diijam_consent_sdk.stores import _fork_safety
    def fork(child, *, leave=os._exit):
        pid = os.fork()
        if pid:
            return pid
        code = 1
        try:
            child()
            code = 0
        finally:
            if code:
                import traceback; traceback.print_exc()
            leave(code)
    def wait(pid):
        status = os.waitpid(pid, 0)[1]
        assert status == 0, status
"""


def run_forking(path: Path, code: str, *arguments: object) -> list[str]:
    """Run a program that forks."""
    return run(path, FORKING + code, *arguments)


def test_a_child_works(tmp_path: Path) -> None:
    """A child loads, writes, polls and verifies with the store it inherited; the parent sees it, and goes on."""
    code = """
    store = SqliteStore(path)
    start = store.append("u-1", [AccountOpened()]).cursor
    def child():
        assert store.load(["u-1"]).records[0].version == 1
        assert store.append("u-2", [AccountOpened()]).cursor.position == 2
        assert store.changes(start, wait=0).user_ids == {"u-2": 2}
        assert store.verify().position == 2
        store.close()
    wait(fork(child))
    assert store.changes(start, wait=5).user_ids == {"u-2": 2}
    assert store.append("u-3", [AccountOpened()]).cursor.position == 3
    assert store.verify().position == 3
    """
    run_forking(tmp_path / "ledger.db", code)


def test_children_and_parent_write_at_once(tmp_path: Path) -> None:
    """Four children and their parent append together and lose nothing."""
    code = """
    store = SqliteStore(path, busy_seconds=20)
    def work(name):
        for number in range(25):
            store.append(f"{name}-{number}", [AccountOpened()])
    pids = [fork(lambda: work(name)) for name in "abcd"]
    work("parent")
    for pid in pids: wait(pid)
    assert store.verify().position == 125
    """
    run_forking(tmp_path / "ledger.db", code)


@pytest.mark.parametrize("end", ["os._exit", "sys.exit"])
@pytest.mark.parametrize("use", ["pass", "store.load([])", "store.close()", "SqliteStore(path).load([])"])
def test_the_end_of_a_child_closes_nothing_of_the_parents(use: str, end: str, tmp_path: Path) -> None:
    """However a child ends, whether or not it used the store, the parent's locks hold and its entries stay."""
    code = f"""
    store = SqliteStore(path)
    store.append("u-1", [AccountOpened()])
    def child():
        {use}
    if __name__ == "__main__":
        wait(fork(child, leave={end}))
        store.append("u-2", [AccountOpened()])
        wait(fork(child, leave={end}))
        assert store.verify().position == 2
        store.append("u-3", [AccountOpened()])
    """
    run_forking(tmp_path / "ledger.db", code)
    with closing(SqliteStore(tmp_path / "ledger.db")) as store:
        assert store.verify().position == 3


def test_a_child_outlives_its_parents_store(tmp_path: Path) -> None:
    """
    What a child appends after its parent closed the store is not lost: the parent does not take itself for the last
    one to use the file, and does not delete the write-ahead log that the child writes to.
    """
    code = """
    store = SqliteStore(path)
    store.append("u-1", [AccountOpened()])
    (child_waits, parent_says), (parent_waits, child_says) = os.pipe(), os.pipe()
    def child():
        store.append("u-2", [AccountOpened()])
        os.write(child_says, b".")
        os.read(child_waits, 1)
        for user_id in ("u-3", "u-4"):
            store.append(user_id, [AccountOpened()])
    pid = fork(child)
    os.read(parent_waits, 1)
    assert store.load(["u-2"]).records[0].version == 1
    store.close()
    os.write(parent_says, b".")
    wait(pid)
    with_new_eyes = SqliteStore(path)
    assert [record.version for record in with_new_eyes.load(["u-1", "u-2", "u-3", "u-4"]).records] == [1, 1, 1, 1]
    assert with_new_eyes.verify().position == 4
    """
    run_forking(tmp_path / "ledger.db", code)


def test_a_child_that_never_used_the_store_deletes_nothing(tmp_path: Path) -> None:
    """
    A child that ends long after its parent does not delete the write-ahead log of a process that came later and was
    killed: what that process acknowledged is still there.
    """
    killed = 'SqliteStore(path).append("u-2", [AccountOpened()]); os.kill(os.getpid(), signal.SIGKILL)'
    code = """
    import subprocess
    store = SqliteStore(path)
    store.append("u-1", [AccountOpened()])
    child_waits, parent_says = os.pipe()
    pid = fork(lambda: os.read(child_waits, 1), leave=sys.exit)
    store.close()
    prelude = "import os, signal, sys; from diijam_consent_sdk.stores import SqliteStore;"
    prelude += "from diijam_consent_sdk.events import AccountOpened; path = sys.argv[1];"
    assert subprocess.run([sys.executable, "-c", prelude + sys.argv[2], path]).returncode == -9
    os.write(parent_says, b".")
    wait(pid)
    assert SqliteStore(path).load(["u-2"]).records[0].version == 1
    """
    run_forking(tmp_path / "ledger.db", code, killed)


def test_a_store_dropped_in_a_child_is_not_closed(tmp_path: Path) -> None:
    """A child that lets go of an inherited store, with no hook run, does not close the parent's files."""
    code = """
    import ctypes, gc
    def opened():
        found = (f"/proc/self/fd/{fd}" for fd in os.listdir("/proc/self/fd"))
        return [os.readlink(link) for link in found if os.path.exists(link)].count(path)
    store = SqliteStore(path)
    store.append("u-1", [AccountOpened()])
    assert opened() == 1
    pid = ctypes.PyDLL(None).fork()
    del store
    gc.collect()
    if not pid:
        os._exit(opened() != 1)
    wait(pid)
    assert opened() == 0
    """
    run_forking(tmp_path / "ledger.db", code)


def test_a_fork_during_calls(tmp_path: Path) -> None:
    """While other threads read and write, each fork waits for them; every child works, and nothing is lost."""
    code = """
    store = SqliteStore(path, busy_seconds=20)
    done, written = threading.Event(), [0, 0, 0]
    def work(number):
        while not done.is_set():
            store.append(f"{number}-{written[number]}", [AccountOpened()])
            written[number] += 1
            for _ in range(20): store.load([f"{number}-0"])
    threads = [threading.Thread(target=work, args=(number,)) for number in range(3)]
    for thread in threads: thread.start()
    while not all(written): time.sleep(0.01)
    for number in range(15):
        def child():
            assert store.load(["0-0"]).records[0].version == 1
            assert store.append(f"child-{number}", [AccountOpened()]).version == 1
        wait(fork(child))
    done.set()
    for thread in threads: thread.join()
    assert store.verify().position == sum(written) + 15
    """
    run_forking(tmp_path / "ledger.db", code)


def test_a_fork_during_a_call_that_takes_too_long(tmp_path: Path) -> None:
    """
    A fork waits only so long for a call. A child that got a connection in use, with locks that are not its own, says so
    to every call and every new store, and so does its own child; the parent's call ends as it would have.
    """
    path = tmp_path / "ledger.db"
    code = """
    _fork_safety.MAX_WAIT_SECONDS = 0.2
    store = SqliteStore(path, busy_seconds=60)
    positions = []
    def append():
        positions.append(store.append("u-2", [AccountOpened()]).cursor.position)
    sys.stdin.readline()
    thread = threading.Thread(target=append)
    thread.start()
    while not _fork_safety.gate._inside.first(): time.sleep(0.01)
    def refused(call):
        try:
            call()
        except StoreUnavailable as error:
            assert "fork" in str(error)
        else:
            raise AssertionError("it worked")
    def refused_all():
        refused(lambda: store.load([]))
        refused(lambda: store.append("u-3", [AccountOpened()]))
        refused(lambda: SqliteStore(path))
        assert MemoryStore().append("u-1", [AccountOpened()])
    def child():
        refused_all()
        wait(fork(refused_all))
    started = time.monotonic()
    pid = fork(child)
    assert time.monotonic() - started < 5
    wait(pid)
    say("forked")
    thread.join()
    say(*positions)
    """
    with closing(SqliteStore(path)) as store:
        sign_up(store, "u-1")
    with running(path, FORKING + code) as program:
        with locking(path, "BEGIN IMMEDIATE"):
            tell(program)
            assert heard(program) == "forked"
        assert heard(program) == "2"


def test_a_store_made_in_a_child(tmp_path: Path) -> None:
    """A new store on the same file in a child is as good as any other."""
    code = """
    store = SqliteStore(path)
    store.append("u-1", [AccountOpened()])
    def child():
        own = SqliteStore(path)
        assert own.append("u-2", [AccountOpened()]).cursor.position == 2
        own.close()
        assert store.append("u-3", [AccountOpened()]).cursor.position == 3
    wait(fork(child))
    assert store.verify().position == 3
    """
    run_forking(tmp_path / "ledger.db", code)


def test_multiprocessing_forks_too(tmp_path: Path) -> None:
    """A pool of forked workers shares the ledger with its parent."""
    code = """
    import multiprocessing
    store = SqliteStore(path, busy_seconds=20)
    store.append("u-1", [AccountOpened()])
    def work(number):
        return store.append(f"w-{number}", [AccountOpened()]).cursor.position
    with multiprocessing.get_context("fork").Pool(3) as pool:
        positions = pool.map(work, range(30))
    assert sorted(positions) == list(range(2, 32))
    assert store.verify().position == 31
    """
    run_forking(tmp_path / "ledger.db", code)


def test_a_memory_store_stays_with_its_parent(tmp_path: Path) -> None:
    """In a child each method of an inherited `MemoryStore` raises, also when a thread of the parent was in a call."""
    code = """
    store = MemoryStore()
    cursor = store.append("u-1", [AccountOpened()]).cursor
    store._database._lock.acquire()  # as another thread might have at the fork
    def child():
        calls = (lambda: store.load(["u-1"]), lambda: store.append("u-1", [AccountClosed()]), lambda: store.verify(),
                 lambda: store.changes(cursor, wait=5), lambda: store.history("u-1"))
        for call in calls:
            try:
                call()
            except StoreUnavailable as error:
                assert "SqliteStore" in str(error)
            else:
                raise AssertionError("it worked")
        store.close()
        assert MemoryStore().append("u-1", [AccountOpened()]).cursor.position == 1
    wait(fork(child))
    store._database._lock.release()
    assert store.append("u-2", [AccountOpened()]).cursor.position == 2
    """
    run_forking(tmp_path / "ledger.db", code)


def test_calls_wait_for_a_fork_to_end() -> None:
    """A call that comes while a fork is under way begins after it, or after the last of several."""
    gate, inside = Gate(), threading.Event()

    def call() -> None:
        with gate.call():
            inside.set()

    gate.before_fork()
    gate.before_fork()
    thread = threading.Thread(target=call)
    thread.start()
    gate.after_fork_in_parent()
    assert not inside.wait(0.1)
    gate.after_fork_in_parent()
    assert inside.wait(5)
    thread.join()


def test_several_stores_are_released_before_a_fork(tmp_path: Path) -> None:
    """Each open store on a file closes its idle connections before a fork, and opens others when it is used."""
    code = """
    stores = [SqliteStore(path), SqliteStore(path + "2"), SqliteStore(path)]
    for number, store in enumerate(stores): store.append(f"u-{number}", [AccountOpened()])
    def child():
        names = {os.readlink(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd")
                 if os.path.exists(f"/proc/self/fd/{fd}")}
        assert not [name for name in names if path in name], names
        for number, store in enumerate(stores): assert store.load([f"u-{number}"]).records[0].version == 1
    wait(fork(child))
    for number, store in enumerate(stores): assert store.load([f"u-{number}"]).records[0].version == 1
    """
    run_forking(tmp_path / "ledger.db", code)

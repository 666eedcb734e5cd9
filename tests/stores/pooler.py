"""Debian's PgBouncer before the tests' PostgreSQL: each transaction of any client on the next free connection."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from .cluster import ACCOUNT, Cluster, give_away

SETTINGS = """
[databases]
* = host={folder} user=postgres
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = {mode}
default_pool_size = 2
max_client_conn = 200
"""


def found() -> str:
    """The program; a test that needs it is skipped where it is missing."""
    program = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")
    if program is None:
        pytest.skip("PgBouncer is needed: apt-get install pgbouncer")
    return program


@contextmanager
def pooling(cluster: Cluster, mode: str = "transaction") -> Iterator[int]:
    """The port of a PgBouncer before *cluster*."""
    program = found()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    settings = Path(cluster.folder, f"pgbouncer-{port}.ini")
    settings.write_text(SETTINGS.format(folder=cluster.folder, port=port, mode=mode), encoding="utf-8")
    give_away(settings)
    with settings.with_suffix(".log").open("wb") as log:
        server = subprocess.Popen([program, str(settings)], stdout=log, stderr=log, cwd=cluster.folder, **ACCOUNT)
    try:
        _wait(server, port, settings.with_suffix(".log"))
        yield port
    finally:
        server.terminate()
        server.wait(10)


def _wait(server: subprocess.Popen[bytes], port: int, log: Path) -> None:
    end = time.monotonic() + 10
    while True:
        try:
            psycopg.connect(f"postgresql://u@127.0.0.1:{port}/postgres").close()
        except psycopg.OperationalError:
            assert time.monotonic() < end, log.read_text()
            assert server.poll() is None, log.read_text()
            time.sleep(0.02)
        else:
            return

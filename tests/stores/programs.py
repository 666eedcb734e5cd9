"""Other processes on the same file that the tests start, to lock, write, fork or be killed."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# What every program below has at hand.
PRELUDE = """
import os, signal, sqlite3, sys, threading, time
from diijam_consent_sdk.errors import *
from diijam_consent_sdk.events import *
from diijam_consent_sdk.stores import Cursor, MemoryStore, SqliteStore
path = sys.argv[1]
def say(*words): print(*words, flush=True)
"""
# No warning is left unseen; Python 3.12 warns of any fork of a process with threads, which is what some are about.
PYTHON = [sys.executable, "-W", "error", "-W", "ignore:This process:DeprecationWarning"]


@contextmanager
def running(path: Path, code: str, *arguments: object) -> Iterator[subprocess.Popen[str]]:
    """A program on this file, killed in the end if it still runs."""
    command = [*PYTHON, "-c", PRELUDE + textwrap.dedent(code), str(path), *map(str, arguments)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True) as program:
        try:
            yield program
        finally:
            program.kill()


def heard(program: subprocess.Popen[str]) -> str:
    """Read the next line that the program prints."""
    assert program.stdout is not None
    line = program.stdout.readline()
    if not line:
        assert program.stderr is not None
        raise AssertionError(f"the program ended: {program.stderr.read()}")
    return line.strip()


def tell(program: subprocess.Popen[str]) -> None:
    """Let the program go on that waits for a line."""
    assert program.stdin is not None
    program.stdin.write("\n")
    program.stdin.flush()


def run(path: Path, code: str, *arguments: object) -> list[str]:
    """Run a program that must exit with 0, and give what it prints."""
    with running(path, code, *arguments) as program:
        said, errors = program.communicate(timeout=60)
        assert program.returncode == 0, errors
        return said.splitlines()


@contextmanager
def locking(path: Path, *statements: str) -> Iterator[None]:
    """Meanwhile another process holds what these statements lock."""
    code = """
        db = sqlite3.connect(path, isolation_level=None)
        for statement in sys.argv[2:]:
            db.execute(statement).fetchall()
        say("locked")
        sys.stdin.readline()
        db.close()
    """
    with running(path, code, *statements) as program:
        assert heard(program) == "locked"
        yield
        tell(program)
        program.wait(10)

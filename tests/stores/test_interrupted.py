"""A signal handler may raise wherever Python looks for signals: no call of a store that it interrupts leaves a lock."""

from __future__ import annotations

import gc
import opcode
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

import diijam_consent_sdk
from diijam_consent_sdk import events as e
from diijam_consent_sdk.stores import MemoryStore, SqliteStore, Store
from diijam_consent_sdk.stores._fork_safety import Gate
from diijam_consent_sdk.stores.postgres.listener import Listener
from diijam_consent_sdk.stores.sql import repeats
from diijam_consent_sdk.stores.sqlite import database

PLACES = (str(Path(diijam_consent_sdk.__file__).parent), threading.__file__)
# After these Python looks whether a handler has to run; never between a lock of C and its block.
LOOKS = {number for name, number in opcode.opmap.items() if name.startswith(("CALL", "RESUME", "JUMP_BACKWARD"))}
# A call that raised goes on here without a look; raising here would leave its error as the thread's current one.
HANDLERS = {number for name, number in opcode.opmap.items() if name in {"PUSH_EXC_INFO", "CLEANUP_THROW"}}


class Interrupt(BaseException):
    """What the handler raises."""


def is_interrupted(act: Callable[[], object], number: int) -> bool:
    """
    Whether *act* was interrupted: at the place of that number among those where a handler may run.

    It runs in a thread, which ends with it: where a trace function raises inside an `except` block, Python keeps that
    block's exception as the context of all that the thread raises later.
    """
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(_is_interrupted_here, act, number).result()


def _is_interrupted_here(act: Callable[[], object], number: int) -> bool:
    passed, before = 0, dict[int, int]()  # no frame is kept: it would keep its call

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal passed
        if not frame.f_code.co_filename.startswith(PLACES):
            return None
        frame.f_trace_opcodes = True
        if event == "call":
            before.pop(id(frame), None)
        if event == "opcode":
            code = frame.f_code.co_code[frame.f_lasti]
            looks = before.get(id(frame)) in LOOKS and code not in HANDLERS
            before[id(frame)] = code
            passed += looks
            if looks and passed == number:
                raise Interrupt
        return trace

    was = sys.gettrace()
    sys._getframe().f_trace_opcodes = True  # without one such frame before, Python 3.12 shows no opcode
    gc.disable()  # else it may be the end of another test's store that is interrupted
    sys.settrace(trace)
    try:
        act()
    except Interrupt:
        pass
    finally:
        sys.settrace(was)
        gc.enable()
    assert sys.exception() is None
    return passed >= number


def elsewhere(act: Callable[[], object]) -> bool:
    """Whether another thread can do it, within some seconds."""
    thread = threading.Thread(target=act, daemon=True)
    thread.start()
    thread.join(20)
    return not thread.is_alive()


def wrote(store: Store) -> None:
    """A write, a read, and a repeat that is answered from a long history."""
    store.append("u", [e.Objected("surveys")])
    store.append("u", [e.Objected("surveys")], idempotency_key="k")
    assert store.load(["u"]).records[0].version


@pytest.mark.filterwarnings("ignore::ResourceWarning")  # of connections that were interrupted while they were opened
@pytest.mark.parametrize("make", [MemoryStore, SqliteStore], ids=["memory", "file"])
@pytest.mark.parametrize("call", ["load", "append", "repeat", "changes"])
def test_an_interrupted_call_leaves_the_store_to_others(
    call: str, make: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever it was interrupted, other threads read and write, and a fork would wait for nobody."""
    monkeypatch.setattr(repeats, "LONG_HISTORY", 0)
    monkeypatch.setattr(database, "gate", gate := Gate())  # the process's own has the calls of other tests' stores too
    store: Store = make() if make is MemoryStore else make(tmp_path / "ledger.db")
    store.append("u", [e.Objected("surveys")], idempotency_key="k")
    calls: dict[str, Callable[[], object]] = {
        "load": lambda: store.load(["u"]),
        "append": lambda: store.append("u", [e.Objected("surveys")]),
        "repeat": lambda: store.append("u", [e.Objected("surveys")], idempotency_key="k"),
        "changes": lambda: store.changes(store.load([]).cursor, wait=0.001),
    }
    number = 1
    while is_interrupted(calls[call], number):
        assert elsewhere(lambda: wrote(store))
        if gate._inside.first() is not None:
            gc.collect(1)  # frames that refer to each other are left to the collector, which may be set to come late
        assert gate._inside.first() is None
        number += 1
    assert number > 20
    store.close()
    gc.collect()


@pytest.mark.filterwarnings("ignore::ResourceWarning")  # of connections that were interrupted while they were closed
@pytest.mark.parametrize("kind", ["memory", "file", "news"])
def test_an_interrupted_close_can_be_made_good(kind: str, tmp_path: Path) -> None:
    """Wherever it was interrupted, another thread closes what is left."""

    def unused() -> Any:
        raise AssertionError("nobody listens here")

    makes: dict[str, Callable[[], Any]] = {
        "memory": MemoryStore, "file": lambda: SqliteStore(tmp_path / "ledger.db"), "news": lambda: Listener(unused),
    }  # fmt: skip
    number, store = 1, makes[kind]()
    while is_interrupted(store.close, number):
        assert elsewhere(store.close)
        number, store = number + 1, makes[kind]()
    store.close()
    assert number > 3
    del store
    gc.collect()

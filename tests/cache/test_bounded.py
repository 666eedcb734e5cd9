"""Bounded caches go on after whatever left them at odds with themselves."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest
from cachetools import Cache, FIFOCache

from diijam_consent_sdk.cache import compiled
from diijam_consent_sdk.cache.bounded import put, take
from diijam_consent_sdk.decisions import Share, decide
from tests.cache.world import AT, answers_of, consenting


def full() -> FIFOCache[str, int]:
    """A cache with as many items as it takes."""
    cache: FIFOCache[str, int] = FIFOCache(2)
    cache["a"], cache["b"] = 1, 2
    return cache


def test_the_oldest_makes_room() -> None:
    """While all is well, the cache stays the same one."""
    cache = full()
    assert put(cache, "c", 3) is cache
    assert dict(cache) == {"b": 2, "c": 3}


def test_a_cache_that_counts_wrong_is_replaced() -> None:
    """As an interruption between an item and its count leaves it."""
    cache = full()
    del vars(cache)["_Cache__data"]["a"]
    assert dict(put(cache, "c", 3)) == {"c": 3}


def test_a_cache_whose_order_names_what_is_gone_is_replaced() -> None:
    """As an interruption between a removal and the order leaves it: each later eviction would fail."""
    cache = full()
    Cache.__delitem__(cache, "a")
    cache = put(cache, "c", 3)
    assert dict(put(cache, "d", 4)) == {"d": 4}


def test_taking_what_is_not_there_gives_none() -> None:
    """And taking what is there removes it."""
    cache = full()
    assert (take(cache, "x"), take(cache, "a")) == (None, 1)
    assert dict(cache) == {"b": 2}


def test_threads_that_remember_at_once_raise_nothing_and_decide_right(monkeypatch: pytest.MonkeyPatch) -> None:
    """Guards take no lock to remember an ask; the number remembered is bounded afterwards."""
    monkeypatch.setattr(compiled, "MAX_REMEMBERED", 3)
    record = consenting()
    answers = answers_of(record)
    asks = [Share(f"r{number}", {"email"}, "payment") for number in range(7)]
    truth = [decide(record, ask, AT) for ask in asks]

    def ask(first: int) -> None:
        """Go through the asks, from another place in each thread."""
        for number in range(first, first + 700):
            assert answers.decide(asks[number % 7]) is truth[number % 7]

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(4) as pool:
            for done in [pool.submit(partial(ask, first)) for first in range(4)]:
                done.result(30)
    finally:
        sys.setswitchinterval(interval)
    ask(0)
    assert len(answers._remembered) <= 3

"""
Bounded caches for small things: on `cachetools.FIFOCache`, and plain dicts for what guards read.

A `cachetools` cache keeps a count and an order beside its items. Two threads that write at once, or a signal handler
that raises inside a write, can leave these at odds, and later writes fail. Such a cache is replaced by an empty one.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TypeVar

from cachetools import FIFOCache

K = TypeVar("K")
V = TypeVar("V")


def put(cache: FIFOCache[K, V], key: K, value: V) -> FIFOCache[K, V]:
    """Put an item, evicting the oldest one when full, and return the cache to use from now on."""
    if cache.currsize == len(cache):
        with suppress(KeyError, RuntimeError):  # raised by `cachetools` where its order and its items differ
            cache[key] = value
            return cache
    cache = FIFOCache(cache.maxsize)
    cache[key] = value
    return cache


def take(cache: FIFOCache[K, V], key: K) -> V | None:
    """Remove an item and return it; None without such an item."""
    value = cache.get(key)
    with suppress(KeyError):  # no such item, or one that is missing in the order alone
        del cache[key]
    return value


def remember(known: dict[K, V], key: K, value: V, most: int) -> None:
    """Put an item into a dict, evicting the oldest ones so that there are at most *most*. Needs no lock."""
    with suppress(KeyError, RuntimeError, StopIteration):  # another thread evicts as well
        while len(known) >= most:
            del known[next(iter(known))]
    known[key] = value

"""
The most memory that a piece of work takes.

It runs in a process of its own: tracemalloc counts what every thread allocates, and the threads of a test process
that keep shared servers running allocate as well.
"""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context


def peak_of(work: Callable[[], object]) -> int:
    """
    The most bytes that Python held at once beyond what it held before; `work` is importable by its name.

    `work` runs twice, and the second run counts: the first loads modules and fills caches.
    """
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as alone:
        return alone.submit(_traced, work).result()


def _traced(work: Callable[[], object]) -> int:
    work()
    tracemalloc.start()
    work()
    return tracemalloc.get_traced_memory()[1]

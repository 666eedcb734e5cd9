"""What all tests share: one PostgreSQL in each test process, started by the first test that needs it."""

from __future__ import annotations

import gc
import os
import resource
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

# How long an example takes, or is drawn, says more of what else the machine does than of the code.
settings.register_profile("suite", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("suite")
MAX_FILES = 20_000


def pytest_configure() -> None:
    """Raise the soft limit of open files, as `serve` does: one test has a thousand clients and their service."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY:
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, MAX_FILES)), hard))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Two test processes a core: half of the time a test waits, for a socket, another process or a deadline."""
    return 2 * (os.cpu_count() or 1)


def pytest_collection_finish() -> None:
    """Freeze the half million objects of the suite itself: tests that look for garbage would search them each time."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def _no_server_is_left() -> Iterator[None]:
    """The PostgreSQL that tests share goes with the last of them."""
    yield
    from tests.stores import cluster  # noqa: PLC0415 - only the tests that need it should need its packages

    if cluster.shared.cache_info().currsize:
        cluster.shared().delete()

"""What `import diijam_consent_sdk` brings along: little, and nothing that runs."""

from __future__ import annotations

import subprocess
import sys

OPTIONAL = (
    "celery", "cyclopts", "django", "hypothesis", "litestar", "openfeature", "opentelemetry", "pandas",
    "polars", "prometheus_client", "psycopg", "psycopg_pool", "pytest", "rich", "starlette", "uvicorn",
)  # fmt: skip
LATER = (*OPTIONAL, "httpcore", "httpx")  # httpx is of the plain install, but slow to import


def run(code: str) -> str:
    """What a fresh interpreter prints."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_the_package_imports_nothing_optional() -> None:
    """Nobody waits for a package of an extra that is not used, nor for httpx before a store asks a service."""
    ours = [name for name in LATER if name != "rich"]  # which structlog takes for its own use wherever it finds it
    code = f"import sys, diijam_consent_sdk; print([name for name in {ours} if name in sys.modules])"
    assert run(code) == "[]"


def test_the_package_needs_nothing_optional() -> None:
    """Where no extra is installed a client still records and answers; without a service it needs no httpx either."""
    missing = f"import sys; sys.modules.update(dict.fromkeys({LATER}))\n"  # an import of one is an ImportError
    code = (
        "from diijam_consent_sdk import ConsentClient\n"
        "from diijam_consent_sdk.events import AccountOpened\n"
        "with ConsentClient.from_url('memory:') as consent:\n"
        "    consent.record('u-1', AccountOpened())\n"
        "    print(consent.can_process('u-1', 'payment').reason)\n"
    )
    assert run(missing + code) == "needed_for_service"


def test_a_store_without_its_extra_names_the_extra() -> None:
    """Making a PostgreSQL store where psycopg is missing says what to install; all stores can be imported there."""
    for name in ("PostgresStore", "AsyncPostgresStore"):
        code = (
            "import sys; sys.modules.update(psycopg=None, psycopg_pool=None)\n"
            "from diijam_consent_sdk.stores import *\n"
            f"try: {name}('postgresql:///consents')\n"
            "except ModuleNotFoundError as error: print(error)\n"
        )
        assert run(code) == "PostgreSQL needs its extra: pip install 'diijam-consent-sdk[postgres]'"


def test_no_thread_starts_before_the_first_question() -> None:
    """Neither the import nor a new client starts a thread, of Python's or any other."""
    code = (
        "import os, threading, time\n"
        "def threads(): return [threading.active_count(), len(os.listdir('/proc/self/task'))]\n"
        "before = threads()\n"
        "from diijam_consent_sdk import ConsentClient\n"
        "imported = threads()\n"
        "consent = ConsentClient.from_url('memory:')\n"
        "made = threads()\n"
        "consent.can_market('u-1', 'email')\n"
        "end = time.monotonic() + 10\n"  # one thread begins another, so that no signal handler can come between
        "while threads()[0] - made[0] != 1 and time.monotonic() < end: time.sleep(0.01)\n"
        "print(before == imported == made, threads()[0] - made[0])\n"
        "consent.close()\n"
    )
    assert run(code) == "True 1"

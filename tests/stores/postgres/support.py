"""What several tests of the PostgreSQL stores use."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import psycopg

from diijam_consent_sdk.stores.sql.statements import Statement

SECRET = "vinh.secret"


RunBatch = Callable[[Callable[[], Any], Sequence[Statement]], Any]  # what goes on with the batch, and the batch
Interfere = Callable[[RunBatch], None]


def end_all(db: psycopg.Connection) -> None:
    """Have the server end every connection of a store."""
    db.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'diijam-consent'")
    time.sleep(0.1)

"""`diijam-consent` with a flush to disk that takes longer: `python -m benchmarks.slow_flush SECONDS serve …`."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from diijam_consent_sdk.cli.app import main
from diijam_consent_sdk.stores.sqlite.database import Database


def slow_down(seconds: float) -> None:
    """Make each commit of this process's SQLite stores take so much longer."""
    committing = Database.committing

    @contextmanager
    def slowly(self: Database, key: str | None) -> Iterator[Any]:
        """Wait before the commit."""
        with committing(self, key) as db:
            yield db
            if db.in_transaction:
                time.sleep(seconds)

    Database.committing = slowly  # type: ignore[method-assign, assignment]


if __name__ == "__main__":
    slow_down(float(sys.argv.pop(1)))
    main()

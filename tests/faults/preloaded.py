"""A web application for `gunicorn --preload`: the client is made, and has its first yes, in the master."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

from tests.faults.asking import ready

consent, held = ready(os.environ["PRELOADED_USER"])


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Respond with the guards' answers, the process, its number of threads, and the time the guards took."""
    began = time.monotonic()
    decision, by_held = consent.can_market(held.user_id, "email"), held.can_market("email")
    took = time.monotonic() - began
    said = {"pid": os.getpid(), "reason": decision.reason, "yes": bool(decision) or bool(by_held), "took": took}
    start_response("200 OK", [("content-type", "application/json"), ("connection", "close")])
    return [json.dumps({**said, "threads": threading.active_count()}).encode()]

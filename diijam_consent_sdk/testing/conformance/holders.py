"""The steps of a case that are about holders of copies, and what they owe."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import attrs

from ...due import erasure_due_at
from ...record import ConsentRecord
from ...stores.answers import ErasurePlace
from ...stores.protocol import Store
from .cases import Step
from .comparing import Mismatch, expect

PAGE = 2  # so that a few users already take several pages
STEPS = {"holder", "retire", "holders", "owes"}


@attrs.define
class Holders:
    """
    Plays these steps of one case on one store.

    Args:
        store: The store.

        record: Loads the record of one of the case's users.
    """

    store: Store
    record: Callable[[str], ConsentRecord]

    def play(self, step: Step) -> None:
        """Play one step; raises `Mismatch` if something else happens than the step expects."""
        match step["do"]:
            case "holder":
                self._register(step["holder"])
            case "retire":
                self.store.retire_holder(step["holder"])
            case "holders":
                expect("holders", [known.holder for known in self.store.holders()], sorted(step["are"]))
            case _:
                self._check_owed(step)

    def _register(self, holder: str) -> None:
        known = {each.holder: each for each in self.store.holders()}
        registered = self.store.register_holder(holder)
        expect("holder registered", registered, known.get(holder, registered))
        if registered not in self.store.holders():
            raise Mismatch(f"the holder {holder} is not listed")

    def _check_owed(self, step: Step) -> None:
        asked = [(record.user_id, erasure_due_at(record)) for record in map(self.record, step["asked"])]
        closed = [(self.record(label).user_id, None) for label in step["closed"]]
        expect("owed", self._read_owed(step["holder"]), [*asked, *closed])

    def _read_owed(self, holder: str) -> list[tuple[str, datetime | None]]:
        found: list[tuple[str, datetime | None]] = []
        after: ErasurePlace | None = None
        while True:
            page = self.store.erasures(holder, after, limit=PAGE)
            found += [(owed.user_id, owed.due_at) for owed in page.erasures]
            after = page.after
            if after is None:
                return found

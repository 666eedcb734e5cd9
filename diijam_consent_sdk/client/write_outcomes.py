"""
What the outcome of a try says of a write: whether it ends it, or whether the write is repeated (protocol.md, rule 8).
"""

from __future__ import annotations

from .._logging import log
from ..errors import (
    InvalidEvent,
    KeyReused,
    NotEntitled,
    OutcomeUnknown,
    StoreUnavailable,
    StoreUnusable,
    TooLarge,
    VersionConflict,
)
from ..status import cause_of
from ..stores.answers import Appended
from .write_order import PendingWrite

LEDGER_REFUSALS = (InvalidEvent, KeyReused, VersionConflict)  # final: the ledger looks for the key first
REFUSALS = (NotEntitled, ValueError, TypeError)  # raised before the ledger was asked: a later try may be accepted
MAY_PASS = (NotEntitled, StoreUnavailable, StoreUnusable)
NOTHING_WRITTEN = (*MAY_PASS, *REFUSALS)  # by this try; an earlier one may have written
GIVEN_UP = (
    "the service's token may not write this any more, or the service does not understand it, and whether it was written"
    " before is not known: load the user to see; repeat it where it may be written; see .idempotency_key"
)


def end_after(error: Exception, pending: PendingWrite, *, was_unknown: bool) -> Exception | None:
    """
    Choose what ends a write after a failed try; None: it is repeated.

    The ledger's own refusals end it. Any other, such as one for the token, does so only if nothing was sent before.
    Later, only a no is worth repeating: nobody is allowed by a yes that may not have been written.
    """
    if isinstance(error, LEDGER_REFUSALS):
        return error
    if not was_unknown:
        if isinstance(error, NOTHING_WRITTEN):
            return error
        log.warning("write.outcome_unknown", error=type(error).__name__)
    elif isinstance(error, REFUSALS) and not pending.has_no():
        log.warning("write.given_up", cause=cause_of(error))
        return OutcomeUnknown(GIVEN_UP, pending.said.idempotency_key)
    return None


def may_pass(outcome: Appended | Exception) -> bool:
    """Whether this try wrote nothing because of a failure that may be over at the next."""
    return isinstance(outcome, MAY_PASS) and not isinstance(outcome, TooLarge)

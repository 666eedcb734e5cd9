"""The problem documents that a consent service answers errors with: RFC 9457."""

from __future__ import annotations

import msgspec


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """An RFC 9457 problem document. `type` tells programs what happened, `detail` people what to do next."""

    type: str
    title: str
    status: int
    detail: str
    expected: int | None = None
    actual: int | None = None
    scopes: list[str] | None = None
    position: int | None = None


# HTTP status and title of each problem, by the last part of its type. `store-unavailable` and `ledger-broken` promise
# that nothing was written; any other answer of 500 and above to an append leaves that open.
PROBLEM_TYPE = "urn:diijam-consent:"
PROBLEMS: dict[str, tuple[int, str]] = {
    "malformed": (400, "The question is malformed"),
    "unauthorized": (401, "A valid token is needed"),
    "forbidden": (403, "The token lacks the scope for this"),
    "version-conflict": (409, "The record is not at the expected version"),
    "too-large": (413, "The question or its answer is too large"),
    "invalid-event": (422, "The policy refuses an event"),
    "key-reused": (422, "The idempotency key was used with other events"),
    "unknown-holder": (422, "No such holder is registered"),
    "store-unusable": (500, "The ledger cannot be trusted"),
    "ledger-broken": (503, "The ledger does not verify; nothing was written"),
    "store-unavailable": (503, "The store is out of reach; nothing was written"),
    "outcome-unknown": (504, "It is not known whether the events were written"),
}

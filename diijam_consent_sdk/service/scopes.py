"""What a token may do, as data: the scopes, and which of them each operation and each event needs."""

from __future__ import annotations

from collections.abc import Collection
from enum import StrEnum


class Scope(StrEnum):
    """What a token allows its client to do. A scope includes no other, but for `WRITE`."""

    ASK = "ask"  # answers for every ask
    ASK_MARKETING = "ask:marketing"
    ASK_PROFILE = "ask:profile"
    ASK_SHARING = "ask:sharing"
    ASK_ANALYTICS = "ask:analytics"
    ASK_RETENTION = "ask:retention"
    LIST = "list"  # everybody, page by page
    READ = "read"  # whole records, histories, the work list
    WRITE = "write"  # all that follow
    WRITE_ACCOUNTS = "write:accounts"
    WRITE_CONSENTS = "write:consents"
    WRITE_REFUSALS = "write:refusals"
    WRITE_REQUESTS = "write:requests"
    WRITE_NOTICES = "write:notices"
    WRITE_HOLDS = "write:holds"
    WRITE_ERASURES = "write:erasures"
    WRITE_IMPORTS = "write:imports"  # beside the event's scope
    CONFIRM = "confirm"  # erasures, as the holder that has the token's name
    RELAY = "relay"  # passes on the names of its clients' tokens


WRITES = frozenset(scope for scope in Scope if scope.startswith(Scope.WRITE))
RECORDS = frozenset({Scope.READ, Scope.ASK})  # records and changes; `ask` until guards load standings
READS = frozenset({Scope.READ})
ANY = frozenset(Scope)  # any token


def expanded(scopes: Collection[Scope]) -> frozenset[Scope]:
    """
    Spell out what scopes allow.

    Args:
        scopes: The scopes of a token.

    Returns:
        The scopes, with those that `WRITE` stands for.
    """
    return frozenset(scopes) | (WRITES if Scope.WRITE in scopes else frozenset())

"""What a token may do, as data: the scopes, and which of them each operation and each event needs."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from enum import StrEnum

from ..events import ErasureConfirmed, Event
from ..standing import View, view_from


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


# Which scopes each operation takes: one of them is enough.
ANY = frozenset(Scope)
READS = frozenset({Scope.READ})
ASKS = frozenset(scope for scope in Scope if scope.partition(":")[0] == Scope.ASK)
CHANGES = READS | ASKS
WRITES = frozenset(scope for scope in Scope if scope.startswith(Scope.WRITE))
APPENDS = WRITES | {Scope.CONFIRM}
NOTICES = frozenset({Scope.WRITE_NOTICES})
ERASURES = frozenset({Scope.WRITE_ERASURES})
HOLDERS = ERASURES | READS
OWED = ERASURES | {Scope.CONFIRM}
# Which scopes some operations need beside one of these, all of them.
LISTS = frozenset({Scope.LIST})

# Which scope each event needs, by its type.
EVENTS: Mapping[Scope, tuple[str, ...]] = {
    Scope.WRITE_ACCOUNTS: ("AccountOpened", "AccountClosed"),
    Scope.WRITE_CONSENTS: ("Granted", "Agreed", "Published", "ObjectionLifted", "RestrictionLifted"),
    Scope.WRITE_REFUSALS: ("Withdrawn", "AgreementWithdrawn", "Objected", "Restricted", "Hidden"),
    Scope.WRITE_REQUESTS: ("RequestFiled", "RequestReplied", "RequestExtended", "RequestResolved"),
    Scope.WRITE_NOTICES: ("Notified",),
    Scope.WRITE_HOLDS: ("HoldPlaced", "HoldReleased"),
    Scope.WRITE_ERASURES: ("Erased", "ErasureConfirmed"),
}
SCOPE_OF_EVENT: Mapping[str, Scope] = {name: scope for scope, names in EVENTS.items() for name in names}


@functools.cache
def expanded(scopes: frozenset[Scope]) -> frozenset[Scope]:
    """
    Spell out what scopes allow.

    Args:
        scopes: The scopes of a token.

    Returns:
        The scopes, with those that `WRITE` stands for.
    """
    return scopes | (WRITES if Scope.WRITE in scopes else frozenset())


@functools.cache
def view_of(scopes: frozenset[Scope]) -> View:
    """
    Find the asks that scopes entitle to.

    Args:
        scopes: The scopes of a token.
    """
    return view_from(ASKS & scopes)


def needed_for(events: Iterable[Event], *, is_import: bool = False, holder: str | None = None) -> frozenset[Scope]:
    """
    Find the scopes that an append needs, all of them.

    Args:
        events: Its events.

        is_import: Whether they were collected before this ledger (`Method.IMPORT`).

        holder: Whose erasures the token may confirm as that holder; None if it has not `Scope.CONFIRM`.
    """
    needed = {_needed_for(event, holder) for event in events}
    return frozenset(needed | {Scope.WRITE_IMPORTS} if is_import else needed)


def _needed_for(event: Event, holder: str | None) -> Scope:
    is_own = isinstance(event, ErasureConfirmed) and event.holder == holder
    return Scope.CONFIRM if is_own else SCOPE_OF_EVENT[type(event).__name__]

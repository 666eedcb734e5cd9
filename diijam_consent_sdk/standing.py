"""
A user's standing: what guards need of the record, and no more (policy, "Views"). It has no id of a notice, hold or
request, no time of the past and no history.

A view narrows it further, to the asks that a token is entitled to. `decisions.decide` answers a standing as it answers
the record that it was made of, from the instant on for which it was made.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, TypeAlias

import attrs

from .policy import BASIS, PUBLISHABLE, Basis
from .record import ConsentRecord, Permission, consent_key
from .vocabulary import Account, Channel, Field, HoldKind, Purpose, Reason, RequestKind


class AskScope(StrEnum):
    """A kind of asks, as a token's scope names it."""

    MARKETING = "ask:marketing"  # Market
    PROFILE = "ask:profile"  # Show
    SHARING = "ask:sharing"  # Share
    ANALYTICS = "ask:analytics"  # Process on the bases OPT_IN and SERVICE
    RETENTION = "ask:retention"  # Retain, and Process on DUTY


View: TypeAlias = frozenset[AskScope]
EVERY_ASK: Final[View] = frozenset(AskScope)
EVERY_ASK_NAME: Final = "ask"


def view_from(names: Iterable[str]) -> View:
    """
    Make the view that scopes add up to.

    Args:
        names: `ask` for every ask, or names of `AskScope`.

    Raises:
        ValueError: one of them is neither.
    """
    return frozenset().union(*(EVERY_ASK if name == EVERY_ASK_NAME else {AskScope(name)} for name in names))


def view_names(view: View) -> list[str]:
    """Name a view's scopes, sorted; `ask` alone stands for every ask."""
    return [EVERY_ASK_NAME] if view == EVERY_ASK else sorted(view)


@attrs.frozen
class PermissionState:
    """Where a consent or an agreement stands: `reason` is that of rows 13 to 17; only what is given may end."""

    reason: Reason
    expires_at: datetime | None = None

    def reason_at(self, at: datetime) -> Reason:
        """Return the reason at an instant."""
        return self.reason if self.expires_at is None or at < self.expires_at else Reason.EXPIRED


@attrs.frozen
class SharingState:
    """Where the agreement to one sharing that the user was notified of stands. Clause 5."""

    recipient: str
    purpose: Purpose
    data: frozenset[Field]
    state: PermissionState

    def reason_at(self, at: datetime) -> Reason:
        """Return the reason of rows 13 and 14 at an instant."""
        return self.state.reason_at(at)


@attrs.frozen
class LiveHold:
    """Data that must be kept to before `until`, or until further notice. Clause 6."""

    kind: HoldKind
    data: frozenset[Field]
    until: datetime | None

    def is_live(self, at: datetime) -> bool:
        """Whether the hold binds at this instant."""
        return self.until is None or at < self.until


@attrs.frozen
class Standing:
    """
    What guards need of a user, for the asks of a view. Instants are in UTC; each lies after the one for which the
    standing was made.

    `consents` has a key for each purpose, for marketing for each channel, that the user has answered (`consent_key`).
    """

    account: Account
    erasing: bool
    all_restricted: bool
    restricted: frozenset[Field]
    objected: frozenset[Purpose]
    published: frozenset[Field]
    consents: Mapping[str, PermissionState]
    sharings: frozenset[SharingState]
    holds: frozenset[LiveHold]
    requests: frozenset[RequestKind]
    view: View

    def is_erasing(self) -> bool:
        """Whether an erasure is pending."""
        return self.erasing

    def is_all_restricted(self) -> bool:
        """Whether the user restricted all personal data."""
        return self.all_restricted

    def publication(self, field: Field) -> bool:
        """Whether the user made a field public."""
        return field in self.published

    def sharings_with(self, recipient: str) -> list[SharingState]:
        """The sharings with a recipient that the user was notified of."""
        return [sharing for sharing in self.sharings if sharing.recipient == recipient]

    def live_holds(self, at: datetime) -> list[LiveHold]:
        """The holds that bind at this instant."""
        return [hold for hold in self.holds if hold.is_live(at)]

    def open_requests(self) -> list[RequestKind]:
        """The kinds of the open requests."""
        return list(self.requests)

    @property
    def ends(self) -> list[datetime]:
        """The instants at which time alone changes an answer, in order."""
        return sorted(self._ends())

    @property
    def next_change_at(self) -> datetime | None:
        """The first of `ends`, or None."""
        return min(self._ends(), default=None)

    def _ends(self) -> set[datetime]:
        ends = {state.expires_at for state in self.consents.values()}
        ends.update(sharing.state.expires_at for sharing in self.sharings)
        ends.update(hold.until for hold in self.holds)
        return {end for end in ends if end is not None}

    def narrowed(self, view: View) -> Standing:
        """Keep what the asks of *view* need, where this standing has it: views intersect."""
        view = self.view & view
        return self if view == self.view else attrs.evolve(self, view=view, **_needed(self, view))


def standing_of(record: ConsentRecord, at: datetime) -> Standing:
    """
    Make the standing of a record for an instant.

    What the first rows of the decision table make irrelevant is left out: nothing but the account counts of an erased
    user or one who is unknown, and only holds and requests where the account is closed, an erasure is pending or all
    data is restricted.
    """
    is_known = record.account in {Account.OPEN, Account.CLOSED}
    erasing = is_known and record.is_erasing()
    is_active = record.account is Account.OPEN and not erasing
    all_restricted = is_active and record.is_all_restricted()
    return Standing(
        account=record.account, erasing=erasing, all_restricted=all_restricted,
        holds=frozenset(LiveHold(hold.kind, hold.data, hold.until) for hold in record.live_holds(at) if is_known),
        requests=frozenset(request.kind for request in record.open_requests() if is_known), view=EVERY_ASK,
        **(_choices(record, at) if is_active and not all_restricted else _no_choices()),
    )  # fmt: skip


def _no_choices() -> dict[str, Any]:
    nothing: frozenset[Any] = frozenset()
    return {"restricted": nothing, "objected": nothing, "published": nothing, "consents": {}, "sharings": nothing}


def _choices(record: ConsentRecord, at: datetime) -> dict[str, Any]:
    consents = {key: _state(consent, at) for key, consent in record.consents.items()}
    return {
        "restricted": record.restricted,
        "objected": record.objected,
        "published": record.published,
        "consents": {key: state for key, state in consents.items() if state.reason is not Reason.NOT_CONSENTED},
        "sharings": frozenset(
            SharingState(notice.recipient, notice.purpose, notice.data, _state(notice, at))
            for notice in record.notices.values()
        ),
    }


def _state(permission: Permission, at: datetime) -> PermissionState:
    reason = permission.reason_at(at)
    return PermissionState(reason, permission.expires_at if reason is permission.GIVEN else None)


_MARKETING_KEYS = frozenset(consent_key(Purpose.MARKETING, channel) for channel in Channel)
_ANALYTICS = frozenset(p for p in Purpose if BASIS[p] is not Basis.DUTY and p is not Purpose.MARKETING)
_ALL_FIELDS, _ALL_PURPOSES = frozenset(Field), frozenset(Purpose)

# Which members of each part the asks of a scope need, beside sharings, holds and requests: one scope needs each whole.
_NEEDS: Mapping[AskScope, Mapping[str, frozenset[str]]] = {
    AskScope.MARKETING: {
        "restricted": _ALL_FIELDS, "objected": frozenset({Purpose.MARKETING}), "consents": _MARKETING_KEYS,
    },
    AskScope.PROFILE: {"restricted": PUBLISHABLE, "published": PUBLISHABLE},
    AskScope.SHARING: {"restricted": _ALL_FIELDS, "objected": _ALL_PURPOSES},
    AskScope.ANALYTICS: {"restricted": _ALL_FIELDS, "objected": _ANALYTICS, "consents": _ANALYTICS},
    AskScope.RETENTION: {},
}  # fmt: skip


def _needed(standing: Standing, view: View) -> dict[str, Any]:
    needs = {
        part: frozenset().union(*(_NEEDS[scope].get(part, frozenset()) for scope in view))
        for part in ("restricted", "objected", "published", "consents")
    }
    return {
        "all_restricted": standing.all_restricted and bool(needs["restricted"]),
        "restricted": standing.restricted & needs["restricted"],
        "objected": standing.objected & needs["objected"],
        "published": standing.published & needs["published"],
        "consents": {key: state for key, state in standing.consents.items() if key in needs["consents"]},
        "sharings": standing.sharings if AskScope.SHARING in view else frozenset(),
        "holds": standing.holds if AskScope.RETENTION in view else frozenset(),
        "requests": standing.requests if AskScope.RETENTION in view else frozenset(),
    }

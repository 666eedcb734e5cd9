"""
The JSON of standings, the same on disk and on the wire, so that clients can tell equal standings by their bytes.

It has neither the user's id nor the view: both stand beside it. Reading is as strict as in `wire`.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

import msgspec

from ..policy import BASIS, Basis
from ..record import consent_channels, consent_key
from ..standing import LiveHold, PermissionState, SharingState, Standing, View
from ..vocabulary import Account, Field, HoldKind, Purpose, Reason, RequestKind
from . import wire

STANDING_FORMAT: Final = 1  # raised whenever the same record gives other bytes
MAX_STANDING_BYTES: Final = 4 * 2**20  # of a record with as many notices and holds as it may have: below 2 MiB

_CONSENT_KEYS = frozenset(
    consent_key(purpose, channel)
    for purpose, basis in BASIS.items()
    if basis is Basis.OPT_IN
    for channel in consent_channels(purpose, ())
)
_CONSENT_REASONS = frozenset({Reason.CONSENTED, Reason.WITHDRAWN, Reason.EXPIRED})
_SHARING_REASONS = frozenset({Reason.AGREED, Reason.WITHDRAWN, Reason.EXPIRED, Reason.NOT_AGREED})
_GIVEN = frozenset({Reason.CONSENTED, Reason.AGREED})

Ending = tuple[Reason, datetime | None]


class StandingForm(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """
    A user's standing. `consents` has by purpose, for marketing by `marketing:` and channel, where the consent stands
    and when it ends; `sharings` recipient, purpose, data, where the agreement stands and when it ends; `holds` kind,
    data and end. No field has a default: bytes that lack one must not read as "not restricted".
    """

    account: Account
    all_restricted: bool
    consents: dict[str, Ending]
    erasing: bool
    holds: list[tuple[HoldKind, frozenset[Field], datetime | None]]
    objected: frozenset[Purpose]
    published: frozenset[Field]
    requests: frozenset[RequestKind]
    restricted: frozenset[Field]
    sharings: list[tuple[str, Purpose, frozenset[Field], Reason, datetime | None]]


wire.prepared(StandingForm)


def encode_standing(standing: Standing) -> bytes:
    """Encode a standing as canonical JSON: equal standings have the same bytes, in every process."""
    holds = [(hold.kind, hold.data, hold.until) for hold in standing.holds]
    sharings = [(s.recipient, s.purpose, s.data, s.state.reason, s.state.expires_at) for s in standing.sharings]
    return wire.encode(
        StandingForm(
            account=standing.account, all_restricted=standing.all_restricted, erasing=standing.erasing,
            consents={key: (state.reason, state.expires_at) for key, state in standing.consents.items()},
            holds=sorted(holds, key=wire.encode), objected=standing.objected, published=standing.published,
            requests=standing.requests, restricted=standing.restricted, sharings=sorted(sharings, key=wire.encode),
        )
    )  # fmt: skip


def decode_standing(data: bytes, view: View) -> Standing:
    """
    Decode a standing that was made for *view*.

    Raises:
        Malformed: *data* is no standing.
    """
    if len(data) > MAX_STANDING_BYTES:
        raise wire.Malformed("not a standing: it is too long")
    form = wire.read(data, StandingForm)
    standing = Standing(
        account=form.account, erasing=form.erasing, all_restricted=form.all_restricted, restricted=form.restricted,
        objected=form.objected, published=form.published,
        consents={key: PermissionState(*ending) for key, ending in form.consents.items()},
        sharings=frozenset(
            SharingState(recipient, purpose, data, PermissionState(reason, expires_at))
            for recipient, purpose, data, reason, expires_at in form.sharings
        ),
        holds=frozenset(LiveHold(*parts) for parts in form.holds), requests=form.requests, view=view,
    )  # fmt: skip
    _check(standing)
    return standing


def _check(standing: Standing) -> None:
    """Check what types do not express."""
    states = (*standing.consents.values(), *(sharing.state for sharing in standing.sharings))
    ends = (*(state.expires_at for state in states), *(hold.until for hold in standing.holds))
    is_right = (
        standing.consents.keys() <= _CONSENT_KEYS
        and all(state.reason in _CONSENT_REASONS for state in standing.consents.values())
        and all(sharing.state.reason in _SHARING_REASONS for sharing in standing.sharings)
        and all(state.expires_at is None or state.reason in _GIVEN for state in states)
        and all(end is None or end.tzinfo is not None for end in ends)
    )
    if not is_right:
        raise wire.Malformed("not a standing: its parts do not fit each other")

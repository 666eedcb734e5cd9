"""A record's properties, and its state at an instant."""

from __future__ import annotations

from datetime import datetime

import attrs
import pytest

from diijam_consent_sdk import events as e
from diijam_consent_sdk.holders import Erasure
from diijam_consent_sdk.record import (
    Consent,
    ConsentRecord,
    Hold,
    Notice,
    Publication,
    Request,
    consent_key,
    unopened,
)
from diijam_consent_sdk.vocabulary import Account, Channel, Field, HoldKind, Purpose

from .history import opened, seconds

TOLD = e.Notified("n-1", "acme-records", ["email", "username"], "marketing")
DEBT = e.HoldPlaced("h-1", "debt", ["payment"])


def after(count: float | None) -> datetime | None:
    """The instant so many seconds after the start, or none."""
    return None if count is None else seconds(count)


def test_unopened() -> None:
    """Of an unknown user nothing is known, and nothing is allowed by what is not known."""
    assert unopened("u-9") == ConsentRecord(
        user_id="u-9",
        version=0,
        account=Account.UNKNOWN,
        account_changed_at=None,
        origin=None,
        anonymised=False,
        consents={},
        objected=frozenset(),
        all_restricted=False,
        restricted=frozenset(),
        published=frozenset(),
        publications={},
        notices={},
        holds={},
        requests={},
        erasure=None,
    )


def test_no_field_of_a_record_has_a_default() -> None:
    """Bytes that lack a field can never read as an empty one."""
    for kind in (ConsentRecord, Consent, Notice, Publication, Hold, Request, Erasure):
        assert all(field.default is attrs.NOTHING and field.kw_only for field in attrs.fields(kind))


def test_record_hides_its_user_where_it_is_printed() -> None:
    """A record in a log or traceback does not tell whose it is."""
    assert "Ánh" not in repr(unopened("Nguyễn Thị Ánh"))


@pytest.mark.parametrize(
    ("steps", "everything"),
    [
        ((), False),
        ((e.Restricted(),), True),
        ((e.Restricted(Field),), True),
        ((e.Restricted([field for field in Field if field != "email"]),), False),
        ((e.Restricted([field for field in Field if field != "email"]), e.Restricted(["email"])), True),
        ((e.Restricted(), e.RestrictionLifted()), False),
    ],
    ids=["none", "at once", "each by name", "all but one", "one after the other", "lifted"],
)
def test_is_all_restricted(steps: tuple[e.Event, ...], everything: bool) -> None:
    """All data is restricted when the user said so, or named every field there is."""
    assert opened(*steps).record.is_all_restricted() is everything


def test_is_erasing() -> None:
    """An erasure is pending while a request for it is open, and no other request makes it so."""
    history = opened(e.RequestFiled("q-1", "complaint"))
    assert not history.record.is_erasing()
    assert history.append(e.RequestFiled("q-2", "erasure"), e.RequestFiled("q-3", "erasure")).record.is_erasing()
    assert history.append(e.RequestResolved("q-2", "refused", "not-yours")).record.is_erasing()
    assert not history.append(e.RequestResolved("q-3", "cancelled")).record.is_erasing()


@pytest.mark.parametrize(
    ("at", "until", "released_at", "live"),
    [
        (-0.000001, None, None, False),
        (0, None, None, True),
        (1e9, None, None, True),
        (8.999999, 9, None, True),
        (9, 9, None, False),
        (5, 9, 4, False),
        (5, None, 4, False),
        (3, None, 4, False),
    ],
)
def test_hold_is_live(at: float, until: float | None, released_at: float | None, live: bool) -> None:
    """A hold binds from the instant it was placed to just before its end, unless it was released."""
    hold = Hold(
        hold="h-1",
        kind=HoldKind.DEBT,
        data=frozenset({Field.PAYMENT}),
        placed_at=seconds(0),
        until=after(until),
        released_at=after(released_at),
    )
    assert hold.is_live(seconds(at)) is live


@pytest.mark.parametrize(
    ("given", "expires", "withdrawn", "at", "standing"),
    [
        (None, None, None, 5, "never"),
        (None, 9, None, 5, "never"),
        (5, None, None, 4.999999, "never"),
        (5, None, None, 5, "given"),
        (5, None, None, 1e9, "given"),
        (5, 9, None, 8.999999, "given"),
        (5, 9, None, 9, "expired"),
        (5, 9, None, 1e9, "expired"),
        (9, 5, None, 7, "never"),
        (5, 9, 6, 7, "withdrawn"),
        (5, 9, 6, 9, "withdrawn"),
        (5, 9, 5, 4, "withdrawn"),
        (None, None, 6, 7, "withdrawn"),
    ],
)
def test_standing(
    given: float | None, expires: float | None, withdrawn: float | None, at: float, standing: str
) -> None:
    """Consents and agreements are live alike: from when they were given to before their end, unless withdrawn."""
    consent = Consent(
        given_at=after(given),
        expires_at=after(expires),
        withdrawn_at=after(withdrawn),
        entry_version=None,
        said_at=None,
        purpose=Purpose.SURVEYS,
        channel=None,
        notice="n-1",
    )
    notice = Notice(
        given_at=after(given),
        expires_at=after(expires),
        withdrawn_at=after(withdrawn),
        entry_version=None,
        said_at=None,
        notice="n-1",
        recipient="acme-records",
        data=frozenset({Field.EMAIL}),
        purpose=Purpose.MARKETING,
        told_at=seconds(0),
    )
    words = {"given": ("consented", "agreed"), "never": ("not_consented", "not_agreed")}
    assert (consent.reason_at(seconds(at)), notice.reason_at(seconds(at))) == words.get(standing, (standing, standing))


@pytest.mark.parametrize(
    ("purpose", "channel", "key"),
    [
        (Purpose.SURVEYS, None, "surveys"),
        (Purpose.MARKETING, Channel.EMAIL, "marketing:email"),
        (Purpose.MARKETING, Channel.CALL, "marketing:call"),
    ],
)
def test_consent_key(purpose: Purpose, channel: Channel | None, key: str) -> None:
    """Consents are kept by purpose, for marketing by purpose and channel, as plain strings."""
    assert consent_key(purpose, channel) == key
    assert type(consent_key(purpose, channel)) is str


TURNS = {
    "nothing": ((), None),
    "nothing that ends": ((e.Granted("surveys", "n-1"), TOLD, e.Agreed("n-1"), DEBT), None),
    "a consent": ((e.Granted("surveys", "n-1", expires_at=seconds(9)),), 9),
    "a channel": ((e.Granted("marketing", "n-1", ["email"], seconds(9)),), 9),
    "an agreement": ((TOLD, e.Agreed("n-1", seconds(9))), 9),
    "a hold": ((e.HoldPlaced("h-1", "debt", ["payment"], seconds(9)),), 9),
    "the first of several": (
        (
            e.Granted("surveys", "n-1", expires_at=seconds(9)),
            TOLD,
            e.Agreed("n-1", seconds(8)),
            e.HoldPlaced("h-1", "debt", ["payment"], seconds(7)),
        ),
        7,
    ),
    "what is over already": (
        (
            e.Granted("surveys", "n-1", expires_at=seconds(2)),
            e.HoldPlaced("h-1", "debt", ["payment"], seconds(1)),
            TOLD,
            e.Agreed("n-1", seconds(9)),
            2,
        ),
        9,
    ),
    "a withdrawn consent": ((e.Granted("surveys", "n-1", expires_at=seconds(9)), e.Withdrawn("surveys")), None),
    "a withdrawn agreement": ((TOLD, e.Agreed("n-1", seconds(9)), e.AgreementWithdrawn("n-1")), None),
    "a released hold": ((e.HoldPlaced("h-1", "debt", ["payment"], seconds(9)), e.HoldReleased("h-1")), None),
    "a closed account": ((e.Granted("surveys", "n-1", expires_at=seconds(9)), e.AccountClosed()), None),
}


@pytest.mark.parametrize(("steps", "turns"), TURNS.values(), ids=list(TURNS))
def test_turns_at(steps: tuple[e.Event | int, ...], turns: int | None) -> None:
    """Answers change next when the first of the live consents, agreements and holds runs out."""
    history = opened(*steps)
    assert history.record.next_change_at(history.at) == after(turns)


def test_turns_at_is_after() -> None:
    """What ends now has ended, what ends in an instant has not."""
    record = opened(e.Granted("surveys", "n-1", expires_at=seconds(9))).record
    assert record.next_change_at(seconds(8.999999)) == seconds(9)
    assert record.next_change_at(seconds(9)) is None

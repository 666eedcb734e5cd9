"""Events as values."""

from __future__ import annotations

import pickle
from typing import Any, get_args

import attrs
import pytest
from hypothesis import given

from diijam_consent_sdk import events as e
from tests import strategies
from tests.strategies import START

from .samples import EACH_EVENT


def test_sample_of_each_event() -> None:
    """The samples of the tests are one of each kind of event."""
    assert [type(event) for event in EACH_EVENT] == list(get_args(e.Event))


each_event = pytest.mark.parametrize("event", EACH_EVENT, ids=lambda event: type(event).__name__)


@each_event
def test_events_are_values(event: e.Event) -> None:
    """An event equals, hashes and pickles as its content."""
    copy = pickle.loads(pickle.dumps(event))
    assert copy == event
    assert copy is not event
    assert hash(copy) == hash(event)
    assert {copy} == {event}


@each_event
def test_events_cannot_change(event: Any) -> None:
    """No field of an event can be set, and none added."""
    for name in [*attrs.fields_dict(type(event)), "at"]:
        with pytest.raises(AttributeError):
            setattr(event, name, None)


@pytest.mark.parametrize(
    ("event", "defaults"),
    [
        (e.AccountOpened(), {"origin": "direct"}),
        (e.Granted("surveys", "n-1"), {"channels": frozenset(), "expires_at": None}),
        (e.Withdrawn("surveys"), {"channels": frozenset()}),
        (e.Restricted(), {"data": None}),
        (e.RestrictionLifted(), {"data": None}),
        (e.Agreed("n-1"), {"expires_at": None}),
        (e.HoldPlaced("h-1", "debt", ["email"]), {"until": None}),
        (e.Erased(), {"anonymised": False}),
    ],
    ids=lambda value: type(value).__name__,
)
def test_defaults(event: e.Event, defaults: dict[str, object]) -> None:
    """What may be left out has the policy's default."""
    assert {name: getattr(event, name) for name in defaults} == defaults


def test_order_of_fields() -> None:
    """The fields of each event come in the order of the policy."""
    assert {kind.__name__: tuple(attrs.fields_dict(kind)) for kind in get_args(e.Event)} == {
        "AccountOpened": ("origin",),
        "AccountClosed": (),
        "Granted": ("purpose", "notice", "channels", "expires_at"),
        "Withdrawn": ("purpose", "channels"),
        "Objected": ("purpose",),
        "ObjectionLifted": ("purpose",),
        "Restricted": ("data",),
        "RestrictionLifted": ("data",),
        "Notified": ("notice", "recipient", "data", "purpose"),
        "Agreed": ("notice", "expires_at"),
        "AgreementWithdrawn": ("notice",),
        "Published": ("field",),
        "Hidden": ("field",),
        "RequestFiled": ("request", "kind", "processor", "received_at"),
        "RequestReplied": ("request",),
        "RequestExtended": ("request", "reason"),
        "RequestResolved": ("request", "outcome", "reason"),
        "HoldPlaced": ("hold", "kind", "data", "until"),
        "HoldReleased": ("hold",),
        "ErasureConfirmed": ("holder", "began_at"),
        "Erased": ("anonymised",),
    }


def test_a_reason_is_an_id_or_nothing() -> None:
    """Why a request was refused is the id of a text: no sentence of many lines, and not the empty one."""
    assert e.RequestResolved("q-1", "cancelled").reason is None
    for bad in ("", "not\nyours", "x" * 257):
        with pytest.raises(ValueError, match="an id"):
            e.RequestResolved("q-1", "refused", bad)


def test_entry_hides_its_user_where_it_is_printed() -> None:
    """A ledger entry in a log or traceback does not tell whose it is."""
    entry = e.LedgerEntry(7, "Nguyễn Thị Ánh", 1, START, e.AccountOpened())
    assert repr(entry).startswith(f"LedgerEntry(position=7, version=1, at={START!r}, event={e.AccountOpened()!r}, ")
    assert "Nguyễn" not in repr(entry)
    assert entry.user_id == "Nguyễn Thị Ánh"


@given(strategies.events())
def test_built_again_of_its_own_fields(event: e.Event) -> None:
    """Checking what was checked already changes nothing."""
    assert attrs.evolve(event) == event
    plain = {name: getattr(event, name) for name in attrs.fields_dict(type(event))}
    assert type(event)(**plain) == event

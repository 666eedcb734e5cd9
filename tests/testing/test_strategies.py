"""The strategies make what their names promise, and enough of it."""

from __future__ import annotations

from datetime import datetime
from typing import get_args

import pytest
from hypothesis import Phase, find, given, settings

from diijam_consent_sdk.decisions import DECISIONS, Ask, decide
from diijam_consent_sdk.events import Event
from diijam_consent_sdk.record import ConsentRecord
from diijam_consent_sdk.stores import wire
from diijam_consent_sdk.testing import strategies
from diijam_consent_sdk.vocabulary import Account

some = settings(max_examples=2_000, database=None, phases=[Phase.generate])  # found is enough, no shrinking


@pytest.mark.parametrize("kind", get_args(Event), ids=lambda kind: kind.__name__)
def test_events_of_every_kind(kind: type[Event]) -> None:
    """`events` gives each kind of event."""
    assert isinstance(find(strategies.events(), lambda event: isinstance(event, kind), settings=some), kind)


@pytest.mark.parametrize("account", Account)
def test_records_of_every_account(account: Account) -> None:
    """`records` gives users who never were, are, left and were erased."""
    found = find(strategies.records(), lambda record: record.account is account, settings=some)
    assert found.account is account


@settings(max_examples=50)
@given(strategies.records("u-7"), strategies.asks(), strategies.instants())
def test_records_are_whole(record: ConsentRecord, ask: Ask, at: datetime) -> None:
    """Every record is the user's asked for, survives the wire, and answers every ask."""
    assert record.user_id == "u-7"
    assert wire.decode_records(b"[%b]" % wire.encode(record))[0] == record
    assert decide(record, ask, at) in DECISIONS.values()

"""Asks as values, and what cannot be asked."""

from __future__ import annotations

import pickle
from typing import Any, get_args

import attrs
import pytest

from diijam_consent_sdk import decisions as d
from diijam_consent_sdk.vocabulary import Channel, Field, Purpose

from .samples import EACH_ASK

each_ask = pytest.mark.parametrize("ask", EACH_ASK, ids=str)


def test_sample_of_each_ask() -> None:
    """The samples of the tests are of every kind of ask."""
    assert {type(ask) for ask in EACH_ASK} == set(get_args(d.Ask))


@each_ask
def test_asks_are_values(ask: d.Ask) -> None:
    """An ask equals, hashes and pickles as its content, and cannot change."""
    copy = pickle.loads(pickle.dumps(ask))
    assert copy == ask
    assert hash(copy) == hash(ask)
    for name in attrs.fields_dict(type(ask)):
        with pytest.raises(AttributeError):
            setattr(ask, name, None)


def test_order_of_fields() -> None:
    """The fields of each ask come in the order of the policy."""
    assert {kind.__name__: tuple(attrs.fields_dict(kind)) for kind in get_args(d.Ask)} == {
        "Process": ("purpose", "data"),
        "Market": ("channel", "data"),
        "Share": ("recipient", "data", "purpose"),
        "Show": ("field",),
        "Retain": ("field",),
    }


def test_defaults() -> None:
    """Processing is about any personal data unless data are named, marketing about its channel's field alone."""
    assert d.Process("payment").data is None
    assert d.Process("payment", ()).data == frozenset()
    assert d.Market("email").data == frozenset()
    assert d.Market("email").purpose is Purpose.MARKETING


@pytest.mark.parametrize("purpose", ["marketing", Purpose.MARKETING], ids=["word", "member"])
@pytest.mark.parametrize("data", [None, (), ["email"]], ids=str)
def test_processing_for_marketing(purpose: str, data: Any) -> None:
    """Marketing cannot be asked without its channel: the error names the ask that takes one."""
    with pytest.raises(ValueError, match=r"^marketing goes over a channel: ask Market\(channel\)$"):
        d.Process(purpose, data)


@pytest.mark.parametrize("purpose", [purpose for purpose in Purpose if purpose is not Purpose.MARKETING])
def test_processing_for_all_else(purpose: Purpose) -> None:
    """Every other purpose can be asked for."""
    assert d.Process(purpose, Field).data == frozenset(Field)


@pytest.mark.parametrize("data", [(), [], set(), iter(())], ids=lambda data: type(data).__name__)
def test_sharing_nothing(data: Any) -> None:
    """A share that hands over nothing is a `ValueError`."""
    with pytest.raises(ValueError, match=r"^a share names the fields it hands over$"):
        d.Share("acme-records", data, "marketing")


@pytest.mark.parametrize("purpose", Purpose)
def test_sharing_for_any_purpose(purpose: Purpose) -> None:
    """A share may name any purpose, marketing and duties as well."""
    assert d.Share("acme-records", ["email"], purpose).purpose is purpose


@pytest.mark.parametrize("channel", Channel)
def test_marketing_over_any_channel(channel: Channel) -> None:
    """Marketing can be asked about over each channel."""
    assert d.Market(str(channel)).channel is channel


@each_ask
def test_asks_pass_as_asks(ask: d.Ask) -> None:
    """Every kind of ask is one."""
    d.check_ask(ask)


@pytest.mark.parametrize("bad", [None, "email", d.Market, Channel.EMAIL, ("email",)], ids=repr)
def test_what_is_no_ask(bad: Any) -> None:
    """A value that is not an ask raises a `TypeError` that names the asks."""
    kind = type(bad).__name__
    text = rf"^an ask is needed \(Process, Market, Share, Show, Retain\), not {kind}$"
    with pytest.raises(TypeError, match=text):
        d.check_ask(bad)

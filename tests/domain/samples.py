"""One of each event, each accepted on the record that `NEEDED` makes, and one of each kind of ask."""

from __future__ import annotations

from datetime import timedelta

from diijam_consent_sdk import events as e
from diijam_consent_sdk.decisions import Ask, Market, Process, Retain, Share, Show
from diijam_consent_sdk.holders import HolderRegistry
from tests.strategies import START

EACH_EVENT: tuple[e.Event, ...] = (
    e.AccountOpened("google"),
    e.AccountClosed(),
    e.Granted("marketing", "n-1", ["email"]),
    e.Withdrawn("marketing", ["email"]),
    e.Objected("payment"),
    e.ObjectionLifted("payment"),
    e.Restricted(["email"]),
    e.RestrictionLifted(["email"]),
    e.Notified("n-2", "acme-records", ["email"], "marketing"),
    e.Agreed("n-1"),
    e.AgreementWithdrawn("n-1"),
    e.Published("avatar"),
    e.Hidden("avatar"),
    e.RequestFiled("q-2", "access", processor=True),
    e.RequestReplied("q-1"),
    e.RequestExtended("q-1", "archive"),
    e.RequestResolved("q-1", "refused", "not-yours"),
    e.HoldPlaced("h-2", "tax", ["payment"]),
    e.HoldReleased("h-1"),
    e.ErasureConfirmed("mailer"),
    e.Erased(anonymised=True),
)

# What the samples above refer to. `ErasureConfirmed` needs more: an erasure pending or the account closed, and one of
# `HOLDERS`; and `Erased` no live hold besides.
NEEDED: tuple[e.Event, ...] = (
    e.Notified("n-1", "acme-records", ["email", "username"], "marketing"),
    e.RequestFiled("q-1", "complaint"),
    e.HoldPlaced("h-1", "debt", ["payment"]),
)

HOLDERS = HolderRegistry({"mailer": START + timedelta(days=1)})  # which owes nothing of what began before

EACH_ASK: tuple[Ask, ...] = (
    Process("surveys", ["email"]),
    Process("payment"),
    Process("debt_settlement", ()),
    Process("rights_handling"),
    Market("call"),
    Share("acme-records", ["email"], "marketing"),
    Show("avatar"),
    Show("email"),
    Retain("payment"),
)

"""One of each event, each accepted on the record that `NEEDED` makes, and one of each kind of ask."""

from __future__ import annotations

from diijam_consent_sdk import events as e
from diijam_consent_sdk.decisions import Ask, Market, Process, Retain, Share, Show

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
    e.Erased(anonymised=True),
)

# What the samples above refer to. `Erased` needs more: no live hold, and an erasure pending or the account closed.
NEEDED: tuple[e.Event, ...] = (
    e.Notified("n-1", "acme-records", ["email", "username"], "marketing"),
    e.RequestFiled("q-1", "complaint"),
    e.HoldPlaced("h-1", "debt", ["payment"]),
)

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

"""
Turn a submitted form into an event.

Only the events that customers may record of themselves are here, so no form can place a hold or open an account.
"""

from __future__ import annotations

from collections.abc import Mapping

from diijam_consent_sdk import Field, Outcome, Purpose
from diijam_consent_sdk import events as e

from ..centers.access import version_in
from .notices import notices

# A no goes through whatever happened meanwhile. A yes counts only on the record that its page showed: one that was
# changed elsewhere since then, perhaps by a no, has to be looked at first.
NOES = {"withdraw", "object", "restrict", "refuse", "hide", "file"}


def parse_event(form: Mapping[str, str]) -> e.Event:
    """
    Make the event of a submitted form.

    Forms have no idempotency keys. An old page that is sent again, after the customer chose otherwise, is meant again,
    and a key would make its no a repetition of the first. Only a request counts once, by its id.

    Raises:
        ValueError: the form names no known event, or misspells a field. The error does not repeat it.
    """
    try:
        return _event(form)
    except KeyError as missing:
        raise ValueError(f"the form lacks {missing.args[0]}") from None


def _event(form: Mapping[str, str]) -> e.Event:  # noqa: C901, PLR0911, PLR0912 - a row each
    match form["say"]:
        case "grant":
            purpose = Purpose(form["purpose"])
            return e.Granted(purpose, notices()[purpose].notice, _channels(form))
        case "withdraw":
            return e.Withdrawn(Purpose(form["purpose"]), _channels(form))
        case "object":
            return e.Objected(Purpose(form["purpose"]))
        case "lift_objection":
            return e.ObjectionLifted(Purpose(form["purpose"]))
        case "restrict":
            return e.Restricted(_data(form))
        case "lift_restriction":
            return e.RestrictionLifted(_data(form))
        case "agree":
            return e.Agreed(form["notice"])
        case "refuse":
            return e.AgreementWithdrawn(form["notice"])
        case "publish":
            return e.Published(Field(form["field"]))
        case "hide":
            return e.Hidden(Field(form["field"]))
        case "file":
            return e.RequestFiled(form["request"], form["kind"])
        case "cancel":
            return e.RequestResolved(form["request"], Outcome.CANCELLED)
        case _:
            raise ValueError("the form says nothing that is known")


def parse_version(form: Mapping[str, str]) -> int | None:
    """
    Return the record's version that a yes rests on; None for a no.

    Raises:
        ValueError: a yes has no version.
    """
    if form.get("say") in NOES:
        return None
    return version_in(form)


def _channels(form: Mapping[str, str]) -> list[str]:
    return [form["channel"]] if form.get("channel") else []


def _data(form: Mapping[str, str]) -> list[str] | None:
    return None if form["data"] == "everything" else [form["data"]]

"""What a form says, as an event. Only what customers may say of themselves is here."""

from __future__ import annotations

from collections.abc import Mapping

from diijam_consent_sdk import Field, Outcome, Purpose
from diijam_consent_sdk import events as e
from diijam_consent_sdk.vocabulary import Language

# A no goes through whatever happened meanwhile. A yes counts only on the record that its page showed: one that was
# changed elsewhere since then, perhaps by a no, has to be looked at first.
MAX_VERSION_DIGITS = 15
NOES = {"withdraw", "object", "restrict", "refuse", "hide", "file"}


def event_said(form: Mapping[str, str], language: Language) -> e.Event:
    """
    The event that a submitted form stands for.

    There are no idempotency keys in the forms: an old page that is sent again, after the customer said something else
    since, means it again; a key would make its no a repetition of one that was overtaken.

    Raises:
        ValueError: the form says nothing that is known, or misspells it. It is not repeated.
    """
    try:
        return _event(form, language)
    except KeyError as missing:
        raise ValueError(f"the form lacks {missing.args[0]}") from None


def _event(form: Mapping[str, str], language: Language) -> e.Event:  # noqa: C901, PLR0911, PLR0912 - a row each
    match form["say"]:
        case "grant":
            return e.Granted(Purpose(form["purpose"]), f"privacy-center-1-{language}", _channels(form))
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


def version_seen(form: Mapping[str, str]) -> int | None:
    """
    The version a yes rests on; None for a no.

    Raises:
        ValueError: a yes comes without one.
    """
    if form.get("say") in NOES:
        return None
    version = form.get("version", "")
    if not (version.isascii() and version.isdigit() and len(version) <= MAX_VERSION_DIGITS):
        raise ValueError("the form's version is none")
    return int(version)


def _channels(form: Mapping[str, str]) -> list[str]:
    return [form["channel"]] if form.get("channel") else []


def _data(form: Mapping[str, str]) -> list[str] | None:
    return None if form["data"] == "everything" else [form["data"]]

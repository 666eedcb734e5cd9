"""
Turn a submitted form into an event.

Only what staff may record of a request is here, so no form can speak for the customer, place a hold or erase.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime

import attrs

from diijam_consent_sdk import Outcome, RequestKind
from diijam_consent_sdk.events import RequestExtended, RequestReplied, RequestResolved
from diijam_consent_sdk.record import ConsentRecord

from ..centers.access import version_in
from .reasons import EXTENDED, NEEDED_FOR, Reasons

LETTER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")  # too narrow for a sentence about somebody
KEY = re.compile(r"[0-9a-f]{32}")
Deed = RequestReplied | RequestExtended | RequestResolved
DONE = {RequestReplied: "replied", RequestExtended: "extended", RequestResolved: "resolved"}


class Unfinished(ValueError):
    """Something is left to be filled in; the text is the key of the note that says what."""


@attrs.frozen
class Act:
    """
    What a staff member does, on the record as the page showed it.

    Args:
        deed: The event.

        version: The record's version on the page.

        key: Makes a form that is sent twice count once.
    """

    deed: Deed
    version: int
    key: str = attrs.field(repr=False)


def parse_act(form: Mapping[str, str], reasons: Reasons) -> Act:
    """
    Read a form.

    Raises:
        Unfinished: a reason or an outcome is missing, or the reason is one for something else.

        ValueError: the form is not one of the centre's. The error does not repeat it.
    """
    if not KEY.fullmatch(form.get("key", "")):
        raise ValueError("the form's key is none")
    return Act(_deed(form, reasons), version_in(form), form["key"])


def _deed(form: Mapping[str, str], reasons: Reasons) -> Deed:
    request = form.get("request", "")
    match form.get("act"):
        case "reply":
            return RequestReplied(request)
        case "extend":
            return RequestExtended(request, _reason(form, EXTENDED, reasons) or "")
        case "resolve":
            if not form.get("outcome"):
                raise Unfinished("no_outcome")
            outcome = Outcome(form["outcome"])
            return RequestResolved(request, outcome, _reason(form, outcome, reasons))
        case _:
            raise ValueError("the form does nothing that is known")


def _reason(form: Mapping[str, str], given_for: str, reasons: Reasons) -> str | None:
    letter, reason = form.get("other", "").strip(), form.get("reason", "")
    if not (letter or reason) and given_for in NEEDED_FOR:
        raise Unfinished("no_reason")
    is_known = LETTER.fullmatch(letter) if letter else not reason or reasons.lists(reason, given_for)
    if not is_known:
        raise Unfinished("wrong_reason")
    return letter or reason or None


def why_refused(deed: Deed, record: ConsentRecord, at: datetime) -> str:
    """Find why the policy refused a deed, as the key of the note that says what to do."""
    known = record.requests.get(deed.request)
    if known is None or known.outcome is not None:
        return "ended_already"
    match deed:
        case RequestReplied() if known.replied_at is not None:
            return "replied_already"
        case RequestExtended() if known.extension_reason is not None:
            return "extended_already"
        case RequestExtended() if at >= known.due_at:
            return "too_late"
        case RequestResolved(outcome=Outcome.FULFILLED) if known.kind is RequestKind.ERASURE:
            return "erase_first"
        case _:
            return "refused"

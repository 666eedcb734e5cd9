"""Whose consent a request is about."""

from __future__ import annotations

from ..cache.user import UserConsent
from ..decisions import looked_up
from ..vocabulary import Reason

NOBODY = looked_up(Reason.UNKNOWN_USER, 3)  # row 2: of nobody, nothing is allowed


def somebody(user_id: str | None) -> str:
    """
    The id of the user that a request comes from.

    Raises:
        ConsentDenied: it comes from nobody: `UNKNOWN_USER`.
    """
    if user_id is None:
        NOBODY.or_raise()
    return str(user_id)


def still_answers(user: UserConsent, user_id: str) -> bool:
    """
    Whether what a request keeps may still answer it: it is about the user of now, whom a request may change by signing
    in another, and its lease is not over, which ends when the request itself records something.
    """
    return user.user_id == user_id and user.is_live()

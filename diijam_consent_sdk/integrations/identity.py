"""
Find the user that a request comes from.

A request may change its user by signing in another, so what it keeps must be checked each time.
"""

from __future__ import annotations

from inspect import isawaitable

from ..cache.user import UserConsent
from ..decisions import looked_up
from ..vocabulary import Reason

NOBODY = looked_up(Reason.UNKNOWN_USER, 3)  # row 2 of the decision table


def require_user_id(user_id: str | None) -> str:
    """
    Return the id of the user that a request comes from.

    Raises:
        ConsentDenied: the request comes from nobody. The reason is `UNKNOWN_USER`.

        TypeError: it is no id: what finds it is asynchronous, or says only whether there is a user.
    """
    if isawaitable(user_id) or isinstance(user_id, bool):
        raise TypeError(f"what identifies a request returns the user's id or None, and no {type(user_id).__name__}")
    if user_id is None:
        NOBODY.or_raise()
    return str(user_id)


def is_current(user: UserConsent, user_id: str) -> bool:
    """
    Whether the consent that a request keeps may still answer it: it is that of the present user, and its lease, which
    ends when the request records something, is not over.
    """
    return user.user_id == user_id and user.is_live()

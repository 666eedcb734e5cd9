"""Whose consent a request is about."""

from __future__ import annotations

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

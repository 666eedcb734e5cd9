"""
polars and pandas: which rows of a frame may be used. One look at all users, in batches; a row without an id may not.

    mailable = frame.filter(permitted_mask(consent, frame["user_id"], Market("email")))   # polars
    mailable = frame[permitted_mask(consent, frame["user_id"], Market("email"))]          # pandas
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Protocol, overload

from ..decisions import Ask

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl


class Masks(Protocol):
    """What can say of many users at once: a `ConsentClient`."""

    def permitted_mask(self, user_ids: Iterable[str], ask: Ask) -> bytearray:
        """Of each id, in order, 1 if it may and 0 if it may not."""


@overload
def permitted_mask(consent: Masks, user_ids: pl.Series, ask: Ask) -> pl.Series: ...


@overload
def permitted_mask(consent: Masks, user_ids: pd.Series[Any], ask: Ask) -> pd.Series[bool]: ...


def permitted_mask(consent: Masks, user_ids: Any, ask: Ask) -> Any:
    """
    A column of booleans: whether the user of each row may.

    Args:
        consent: The client.

        user_ids: A column of ids, strings; where it is null, the answer is no.

        ask: What is to be done with the users' data.

    Raises:
        TypeError: *user_ids* is no column of polars or pandas, or holds something else than strings.

        ValueError: an id is malformed.
    """
    library = type(user_ids).__module__.partition(".")[0]
    if library == "polars":
        return _polars(consent, user_ids, ask)
    if library == "pandas":
        return _pandas(consent, user_ids, ask)
    raise TypeError(f"a column of polars or pandas is needed, not {type(user_ids).__name__}")


def _polars(consent: Masks, user_ids: pl.Series, ask: Ask) -> pl.Series:
    import polars as pl  # noqa: PLC0415 - whoever passes a column of it has it

    mask = _spread(consent, user_ids.is_not_null().to_list(), user_ids.drop_nulls().to_list(), ask)
    return pl.Series(user_ids.name, mask, dtype=pl.Boolean)


def _pandas(consent: Masks, user_ids: pd.Series[Any], ask: Ask) -> pd.Series[bool]:
    import pandas as pd  # noqa: PLC0415 - as above

    mask = _spread(consent, user_ids.notna().tolist(), user_ids.dropna().tolist(), ask)
    return pd.Series(mask, index=user_ids.index, name=user_ids.name, dtype=bool)


def _spread(consent: Masks, is_there: list[bool], user_ids: list[str], ask: Ask) -> list[bool]:
    """The answers in the places where there is an id, and no elsewhere."""
    answers = consent.permitted_mask(user_ids, ask)
    if len(answers) != len(user_ids):
        raise ValueError(f"{len(answers)} answers for {len(user_ids)} ids")
    answer = iter(answers)
    return [there and next(answer) == 1 for there in is_there]

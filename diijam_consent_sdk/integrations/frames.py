"""
polars and pandas: which rows of a frame may be used. One look at all users, in batches; a row without an id may not.

    mailable = frame.filter(permitted_mask(consent, frame["user_id"], Market("email")))   # polars
    mailable = frame[permitted_mask(consent, frame["user_id"], Market("email"))]          # pandas
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Literal, overload

from ..client import ConsentClient
from ..client.batching import Malformed, on_malformed
from ..client.masks import UNKNOWN, YES
from ..decisions import Ask, check_ask
from ..vocabulary import identifier

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl

Unavailable = Literal["raise", "null"]


@overload
def permitted_mask(
    consent: ConsentClient,
    user_ids: pl.Series,
    ask: Ask,
    *,
    malformed: Malformed = "raise",
    unavailable: Unavailable = "raise",
) -> pl.Series: ...


@overload
def permitted_mask(
    consent: ConsentClient,
    user_ids: pd.Series[Any],
    ask: Ask,
    *,
    malformed: Malformed = "raise",
    unavailable: Unavailable = "raise",
) -> pd.Series[bool]: ...


def permitted_mask(
    consent: ConsentClient,
    user_ids: Any,
    ask: Ask,
    *,
    malformed: Malformed = "raise",
    unavailable: Unavailable = "raise",
) -> Any:
    """
    A column of booleans: whether the user of each row may, true as it is handed out.

    Args:
        consent: The client.

        user_ids: A column of ids, strings; where it is null, the answer is no.

        ask: What is to be done with the users' data.

        malformed: What happens at a malformed id, as for `ConsentClient.permitted_mask`; its place is its row, from 0.

        unavailable: What happens where nothing could be known of a user: `"raise"`, or `"null"`, there is no answer.

    Raises:
        StoreUnavailable: nothing could be known of some users, and *unavailable* is `"raise"`.

        StoreUnusable: the store's answer cannot be trusted.

        ClientClosed: the client is closed.

        TypeError: *user_ids* is no column of polars or pandas, or holds something else than strings.

        ValueError: an id is malformed, or an option is something else.
    """
    check_ask(ask)
    then = on_malformed(malformed)
    if unavailable not in ("raise", "null"):
        raise ValueError('unavailable is "raise" or "null"')
    is_null, ids = _column(user_ids)
    rows = [row for row, null in enumerate(is_null) if not null]

    def at_row(place: int) -> None:
        try:
            identifier(ids[place])
        except (TypeError, ValueError) as error:
            then(rows[place], error)

    look = consent.permitted_mask if unavailable == "raise" else consent._partial_mask  # noqa: SLF001
    answers: list[bool | None] = [False] * len(is_null)
    for row, answer in zip(rows, look(ids, ask, at_row), strict=True):
        answers[row] = None if answer == UNKNOWN else answer == YES
    return _like(user_ids, answers, may_be_null=unavailable == "null")


def _column(user_ids: Any) -> tuple[list[bool], list[str]]:
    """Which rows are null, and the ids of the others."""
    if _is_series(user_ids, "polars"):
        return user_ids.is_null().to_list(), user_ids.drop_nulls().to_list()
    if _is_series(user_ids, "pandas"):
        return user_ids.isna().tolist(), user_ids.dropna().tolist()
    raise TypeError(
        f"a column (a Series) of polars or pandas is needed, not {type(user_ids).__name__}:"
        " collect a LazyFrame, take one column of a frame, and to_series() of an Index"
    )


def _like(user_ids: Any, answers: list[bool | None], *, may_be_null: bool) -> Any:
    """The answers as a column beside that of the ids."""
    if _is_series(user_ids, "polars"):
        import polars as pl  # noqa: PLC0415 - whoever passes a column of it has it

        return pl.Series(user_ids.name, answers, dtype=pl.Boolean)
    import pandas as pd  # noqa: PLC0415 - as above

    dtype = "boolean" if may_be_null else "bool"
    return pd.Series(answers, index=user_ids.index, name=user_ids.name, dtype=dtype)


def _is_series(column: Any, library: str) -> bool:
    module = sys.modules.get(library)
    return module is not None and isinstance(column, module.Series)

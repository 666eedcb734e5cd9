"""
polars and pandas: the rows of a frame that may be used. All users are loaded in batches; a row without an id may not.

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
from ..identifiers import identifier

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
    Return a column of booleans: whether the user of each row allows *ask*, true when it is returned.

    Args:
        consent: The client.

        user_ids: A column of ids, strings. Where it is null, the answer is no.

        ask: What is to be done with the users' data.

        malformed: What happens at a malformed id, as for `ConsentClient.permitted_mask`. Its place is its row, from 0.

        unavailable: What happens if the store is out of reach. `"raise"` raises, and `"null"` leaves the row's answer
            null.

    Raises:
        StoreUnavailable: some users could not be checked, and *unavailable* is `"raise"`.

        StoreUnusable: the store's answer cannot be trusted.

        ClientClosed: the client is closed.

        TypeError: *user_ids* is not a column of polars or pandas, or holds something else than strings.

        ValueError: an id is malformed, or an option is not one of those above.
    """
    check_ask(ask)
    handle_malformed = on_malformed(malformed)
    if unavailable not in ("raise", "null"):
        raise ValueError('unavailable is "raise" or "null"')
    is_null, ids = _split_nulls(user_ids)
    rows = [row for row, null in enumerate(is_null) if not null]

    def at_row(place: int) -> None:
        try:
            identifier(ids[place])
        except (TypeError, ValueError) as error:
            handle_malformed(rows[place], error)

    ask_all = consent.permitted_mask if unavailable == "raise" else consent._partial_mask  # noqa: SLF001
    answers: list[bool | None] = [False] * len(is_null)
    for row, answer in zip(rows, ask_all(ids, ask, at_row), strict=True):
        answers[row] = None if answer == UNKNOWN else answer == YES
    return _make_column(user_ids, answers, may_be_null=unavailable == "null")


def _split_nulls(user_ids: Any) -> tuple[list[bool], list[str]]:
    """Return which rows are null, and the ids of the others."""
    if _is_series(user_ids, "polars"):
        return user_ids.is_null().to_list(), user_ids.drop_nulls().to_list()
    if _is_series(user_ids, "pandas"):
        return user_ids.isna().tolist(), user_ids.dropna().tolist()
    raise TypeError(
        f"a column (a Series) of polars or pandas is needed, not {type(user_ids).__name__}:"
        " collect a LazyFrame, take one column of a frame, and to_series() of an Index"
    )


def _make_column(user_ids: Any, answers: list[bool | None], *, may_be_null: bool) -> Any:
    """Make a column of answers in the library, and with the index, of the ids."""
    if _is_series(user_ids, "polars"):
        import polars as pl  # noqa: PLC0415 - installed, since a column of it was passed

        return pl.Series(user_ids.name, answers, dtype=pl.Boolean)
    import pandas as pd  # noqa: PLC0415 - as above

    dtype = "boolean" if may_be_null else "bool"
    return pd.Series(answers, index=user_ids.index, name=user_ids.name, dtype=dtype)


def _is_series(column: Any, library: str) -> bool:
    module = sys.modules.get(library)
    return module is not None and isinstance(column, module.Series)

"""polars and pandas: a mask over a column of ids."""

from __future__ import annotations

from typing import Any

import pandas as pd
import polars as pl
import pytest

from diijam_consent_sdk import Market
from diijam_consent_sdk.errors import StoreUnavailable
from diijam_consent_sdk.integrations.frames import permitted_mask
from diijam_consent_sdk.testing import ConsentForTests

MAILABLE = Market("email")


@pytest.fixture
def masked(consent: ConsentForTests) -> ConsentForTests:
    """Knows u-1 and u-3, who may be mailed, and u-2, who may not."""
    consent.opened("u-2")
    consent.opted_in("u-3", "email")
    return consent


def test_polars(masked: ConsentForTests) -> None:
    """A frame keeps the rows of those who may, each as often as it was there; a null is a no."""
    frame = pl.DataFrame({"user_id": ["u-3", "u-2", None, "u-1", "u-3", "u-9"], "n": range(6)})
    mask = permitted_mask(masked, frame["user_id"], MAILABLE)
    assert (mask.dtype == pl.Boolean, mask.name) == (True, "user_id")
    assert frame.filter(mask)["n"].to_list() == [0, 3, 4]


def test_pandas(masked: ConsentForTests) -> None:
    """The same for pandas, whatever the index."""
    frame = pd.DataFrame({"user_id": ["u-3", "u-2", None, "u-1", "u-3", "u-9"]}, index=[5, 4, 4, 3, 2, 1])
    mask = permitted_mask(masked, frame["user_id"], MAILABLE)
    assert (mask.dtype.kind, mask.name) == ("b", "user_id")
    assert frame[mask].index.tolist() == [5, 3, 2]


@pytest.mark.parametrize(
    "column", [pl.Series("user_id", [], dtype=pl.String), pd.Series([], dtype=str)], ids=["polars", "pandas"]
)
def test_nobody(masked: ConsentForTests, column: Any) -> None:
    """Of no ids there is a mask of nothing."""
    assert len(permitted_mask(masked, column, MAILABLE)) == 0


@pytest.mark.parametrize("column", [pl.Series([1, 2]), pd.Series([1, 2])], ids=["polars", "pandas"])
def test_ids_that_are_none(masked: ConsentForTests, column: Any) -> None:
    """Numbers are no ids: that is the caller's mistake, not a no."""
    with pytest.raises(TypeError, match="an id is a string, not int"):
        permitted_mask(masked, column, MAILABLE)


@pytest.mark.parametrize("column", [["u-1"], "u-1", None], ids=repr)
def test_what_is_no_column(masked: ConsentForTests, column: Any) -> None:
    """Anything but a column raises."""
    with pytest.raises(TypeError, match="of polars or pandas is needed"):
        permitted_mask(masked, column, MAILABLE)


@pytest.mark.parametrize(
    "column",
    [pl.LazyFrame({"user_id": ["u-1"]}), pl.DataFrame({"user_id": ["u-1"]}), pd.Index(["u-1"]), pd.DataFrame()],
    ids=lambda column: type(column).__name__,
)
def test_what_is_more_than_a_column(masked: ConsentForTests, column: Any) -> None:
    """A frame, a lazy one or an index raises, and the error says how to come to a column."""
    with pytest.raises(TypeError, match=f"not {type(column).__name__}: collect a LazyFrame"):
        permitted_mask(masked, column, MAILABLE)


@pytest.mark.parametrize("series", [pl.Series, pd.Series], ids=["polars", "pandas"])
def test_the_store_is_away(masked: ConsentForTests, series: Any) -> None:
    """With the store away a mask is an error, or null where nothing is known: never a customer's no."""
    column = series(["u-1", "u-9", None])
    with masked.offline():
        with pytest.raises(StoreUnavailable):
            permitted_mask(masked, column, MAILABLE)
        mask = permitted_mask(masked, column, MAILABLE, unavailable="null")
    answers = mask.to_list() if isinstance(mask, pl.Series) else [None if pd.isna(a) else a for a in mask]
    assert answers == [None, None, False]
    again = permitted_mask(masked, column, MAILABLE, unavailable="null")
    assert again.to_list() == [True, False, False]
    with pytest.raises(ValueError, match='"raise" or "null"'):
        permitted_mask(masked, column, MAILABLE, unavailable="skip")  # type: ignore[call-overload]


@pytest.mark.parametrize("series", [pl.Series, pd.Series], ids=["polars", "pandas"])
def test_malformed_ids(masked: ConsentForTests, series: Any) -> None:
    """A malformed id is named by its row, nulls counted, or is a no."""
    column = series([None, "u-1", "", None, "u-3"])
    with pytest.raises(ValueError, match=r"the id at place 2 \(the first is 0\) is malformed: an id has 1 to 256"):
        permitted_mask(masked, column, MAILABLE)
    assert permitted_mask(masked, column, MAILABLE, malformed="skip").to_list() == [False, True, False, False, True]
    rows: list[int] = []
    permitted_mask(masked, column, MAILABLE, malformed=rows.append)
    assert rows == [2]

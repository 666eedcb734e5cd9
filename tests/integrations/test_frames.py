"""polars and pandas: a mask over a column of ids."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pandas as pd
import polars as pl
import pytest

from diijam_consent_sdk import Market
from diijam_consent_sdk.decisions import Ask
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
    with pytest.raises(TypeError, match="a column of polars or pandas"):
        permitted_mask(masked, column, MAILABLE)


def test_answers_that_are_too_few() -> None:
    """A mask of another length than the ids is never spread over them."""

    class Short:
        """Answers for the first id alone."""

        def permitted_mask(self, user_ids: Iterable[str], ask: Ask) -> bytearray:
            """See `Masks`."""
            return bytearray([1])

    with pytest.raises(ValueError, match="1 answers for 2 ids"):
        permitted_mask(Short(), pl.Series(["u-1", "u-2"]), MAILABLE)

"""How many bytes of answers are kept for clients that have yet to take them."""

from __future__ import annotations

import pytest

from diijam_consent_sdk.errors import StoreUnavailable
from diijam_consent_sdk.service.unread import MAX_BYTES, MAX_BYTES_OF_ONE, Unread


def test_answers_of_one_caller_are_bounded() -> None:
    """A caller whose answers wait to be read gets no more of them, and others do."""
    unread = Unread()
    with unread.kept("a", MAX_BYTES_OF_ONE):
        with pytest.raises(StoreUnavailable, match="read them"):
            unread.check("a", 1)
        unread.check("b", MAX_BYTES_OF_ONE)
    unread.check("a", MAX_BYTES_OF_ONE)


def test_answers_of_all_are_bounded() -> None:
    """Many callers together do not take all memory."""
    unread = Unread()
    with unread.kept("a", MAX_BYTES // 2), unread.kept("b", MAX_BYTES // 2), pytest.raises(StoreUnavailable):
        unread.check("c", 1)
    assert unread._by_caller == {}  # callers that are gone take no memory

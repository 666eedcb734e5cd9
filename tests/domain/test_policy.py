"""The policy's tables, against policy.md."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import attrs
import pytest

from diijam_consent_sdk.policy import (
    BASIS,
    CHANNEL_FIELD,
    CLAUSES,
    DUTY_HOLDS,
    PUBLISHABLE,
    TIME_LIMITS,
    WORDING,
    Basis,
    Wording,
)
from diijam_consent_sdk.vocabulary import (
    LABELS,
    Channel,
    Field,
    HoldKind,
    Method,
    Origin,
    Outcome,
    Purpose,
    Reason,
    RequestKind,
    Word,
)

# Every answer of the decision table: reason, clause, and whether it allows.
ANSWERS = {
    ("unavailable", 3): False,
    ("stale", 3): False,
    ("not_entitled", 3): False,
    ("unknown_user", 3): False,
    ("erased", 6): False,
    ("not_publishable", 7): False,
    ("in_service", 6): True,
    ("held", 6): True,
    ("held", 1): True,
    ("no_duty", 6): False,
    ("erasure_requested", 1): False,
    ("account_closed", 6): False,
    ("restricted", 1): False,
    ("objected", 1): False,
    ("published", 7): True,
    ("not_published", 7): False,
    ("agreed", 5): True,
    ("beyond_notice", 5): False,
    ("withdrawn", 5): False,
    ("expired", 5): False,
    ("not_agreed", 5): False,
    ("not_notified", 5): False,
    ("needed_for_service", 4): True,
    ("needed_for_service", 6): True,
    ("consented", 4): True,
    ("withdrawn", 4): False,
    ("expired", 4): False,
    ("not_consented", 4): False,
}


@pytest.mark.parametrize(
    ("basis", "purposes"),
    [
        (
            Basis.OPT_IN,
            "service_improvement service_development marketing technology_development contests surveys",
        ),
        (Basis.SERVICE, "service_operation payment fraud_detection troubleshooting"),
        (Basis.DUTY, "legal_obligation dispute_resolution debt_settlement rights_handling"),
    ],
    ids=str,
)
def test_each_purpose_stands_on_one_basis(basis: Basis, purposes: str) -> None:
    """The purposes of each basis are those of the policy."""
    assert {purpose for purpose, stands_on in BASIS.items() if stands_on is basis} == set(purposes.split())


def test_every_purpose_has_a_basis() -> None:
    """No purpose is without a basis."""
    assert set(BASIS) == set(Purpose)


def test_holds_of_each_duty() -> None:
    """A duty is carried by the holds that the policy names; an open request carries the handling of rights."""
    assert dict(DUTY_HOLDS) == {
        "legal_obligation": {"legal", "tax", "accounting", "audit"},
        "dispute_resolution": {"dispute"},
        "debt_settlement": {"debt"},
    }


def test_field_of_each_channel() -> None:
    """Marketing over a channel touches the field by which it reaches the customer."""
    assert dict(CHANNEL_FIELD) == {"email": "email", "message": "phone", "call": "phone", "notification": "device"}


def test_publishable_fields() -> None:
    """Six fields may be made public, and no others."""
    assert {
        "full_name", "username", "avatar", "follower_count", "followers", "recently_followed_artists",
    } == PUBLISHABLE  # fmt: skip


def test_time_limits() -> None:
    """Days to reply, to be done, to be done with somebody outside, and of one extension: the policy's table."""
    days = {kind: [limit / timedelta(hours=24) for limit in attrs.astuple(of)] for kind, of in TIME_LIMITS.items()}
    assert days == {
        "access": [2, 10, 15, 10],
        "rectification": [2, 10, 15, 10],
        "erasure": [2, 20, 30, 20],
        "complaint": [2, 10, 15, 10],
    }


def test_every_answer_has_its_wording() -> None:
    """The answers are those of the decision table, and each allows or denies as in its row."""
    assert {key: wording.allowed for key, wording in WORDING.items()} == ANSWERS
    assert {reason for reason, _ in WORDING} == set(Reason)
    assert {clause for _, clause in WORDING} <= set(CLAUSES)


def is_vietnamese(text: str) -> bool:
    """Whether *text* holds a letter that Vietnamese has and English has not."""
    return "đ" in text.lower() or any(unicodedata.combining(c) for c in unicodedata.normalize("NFD", text))


@pytest.mark.parametrize("wording", WORDING.values(), ids=["-".join(map(str, key)) for key in WORDING])
def test_wording_is_in_two_languages(wording: Wording) -> None:
    """Each answer is a whole sentence in Vietnamese and another in plain English."""
    assert is_vietnamese(wording.vi)
    assert wording.en.isascii()
    for text in (wording.vi, wording.en):
        assert text == text.strip()
        assert text[0].isupper()
        assert text.endswith(".")


@pytest.mark.parametrize("language", ["vi", "en"])
def test_no_two_answers_read_the_same(language: str) -> None:
    """A customer can tell every answer from every other."""
    assert len({getattr(wording, language) for wording in WORDING.values()}) == len(WORDING)


def test_seven_clauses() -> None:
    """There are seven clauses, each with a title in Vietnamese and one in English."""
    assert list(CLAUSES) == [1, 2, 3, 4, 5, 6, 7]
    for vi, en in CLAUSES.values():
        assert is_vietnamese(vi)
        assert en.isascii()
        assert en


@pytest.mark.parametrize(
    "table", [CLAUSES, BASIS, DUTY_HOLDS, CHANNEL_FIELD, TIME_LIMITS, WORDING], ids=lambda table: str(next(iter(table)))
)
def test_tables_cannot_be_changed(table: Any) -> None:
    """Nobody can add to the policy at run time."""
    assert isinstance(table, Mapping)
    with pytest.raises(TypeError, match="does not support item assignment"):
        table[next(iter(table))] = None  # type: ignore[index]


LABELLED = [word for vocabulary in LABELS for word in vocabulary]


def test_every_word_of_the_policy_has_its_label() -> None:
    """Each vocabulary that a customer may meet is labelled whole, and no label is for a word that is none."""
    assert set(LABELS) == {
        Purpose, Channel, Field, Origin, HoldKind, RequestKind, Outcome, Method, Reason,
    }  # fmt: skip
    for vocabulary, labels in LABELS.items():
        assert set(labels) == set(vocabulary)


@pytest.mark.parametrize("word", LABELLED, ids=lambda word: f"{type(word).__name__}.{word.name}")
def test_labels_are_in_two_languages(word: Word) -> None:
    """A label is a short name without a full stop, in Vietnamese and in English."""
    for label in (word.label("vi"), word.label("en")):
        assert 0 < len(label) <= 60
        assert label.strip(" .") == label
    assert word.label("en").isascii()


def test_a_label_in_another_language() -> None:
    """There are two languages, and another one is a mistake that is named."""
    with pytest.raises(ValueError, match="a label is in 'vi' or 'en'"):
        Purpose.MARKETING.label("fr")  # type: ignore[arg-type]

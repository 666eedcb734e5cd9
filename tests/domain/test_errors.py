"""The errors: their tree, and that each survives pickle."""

from __future__ import annotations

import inspect
import pickle

import pytest

from diijam_consent_sdk import errors
from diijam_consent_sdk.decisions import UNAVAILABLE

EACH_ERROR: tuple[tuple[errors.ConsentError, str, dict[str, object]], ...] = (
    (errors.ConsentError("broke"), "broke", {}),
    (errors.StoreError("broke"), "broke", {}),
    (errors.StoreUnavailable("no answer in 1 s"), "no answer in 1 s", {}),
    (errors.TooLarge("ask for fewer users"), "ask for fewer users", {}),
    (errors.NotEntitled("the token lacks the scope read", ("read",)), "the token lacks the scope read", {}),
    (errors.OutcomeUnknown("sent, no answer", "key-1"), "sent, no answer", {"idempotency_key": "key-1"}),
    (errors.StoreUnusable("not a ledger"), "not a ledger", {}),
    (
        errors.LedgerBroken(7, "the hash is another"),
        "the ledger is broken at position 7: the hash is another",
        {"position": 7, "why": "the hash is another"},
    ),
    (
        errors.HeadNotContinued(7, "the hash is another"),
        "the ledger does not continue the kept head, at position 7: the hash is another",
        {"position": 7, "why": "the hash is another"},
    ),
    (errors.HistoryChanged("begin again with after=None"), "begin again with after=None", {}),
    (errors.InvalidEvent("the account is open already"), "the account is open already", {}),
    (errors.KeyReused("use a new key"), "use a new key", {}),
    (
        errors.VersionConflict(3, 4),
        "expected version 3, the record is at 4: load it again, then retry",
        {"expected": 3, "actual": 4},
    ),
    (
        errors.VersionConflict(3, None),
        "expected version 3, the record is at another: load it again, then retry",
        {"expected": 3, "actual": None},
    ),
    (
        errors.ConsentDenied(UNAVAILABLE),
        "unavailable (clause 3): Your choices cannot be checked right now, so your data is not used.",
        {"decision": UNAVAILABLE},
    ),
    (errors.ClientClosed("closed"), "closed", {}),
)


def name_of(value: object) -> str:
    """What a test calls one of the errors above, or something said of it."""
    return type(value).__name__ if isinstance(value, Exception) else ""


def test_every_error_is_tested() -> None:
    """Every error of the module is in the table of these tests."""
    of_module = {kind for _, kind in inspect.getmembers(errors, inspect.isclass) if kind.__module__ == errors.__name__}
    assert {type(error) for error, _, _ in EACH_ERROR} == of_module


@pytest.mark.parametrize(("error", "text", "attributes"), EACH_ERROR, ids=name_of)
def test_error_says_what_happened(error: errors.ConsentError, text: str, attributes: dict[str, object]) -> None:
    """An error has its text, and as attributes what a program needs of it."""
    assert str(error) == text
    for name, value in attributes.items():
        assert getattr(error, name) is value


@pytest.mark.parametrize(("error", "text", "attributes"), EACH_ERROR, ids=name_of)
def test_error_pickles(error: errors.ConsentError, text: str, attributes: dict[str, object]) -> None:
    """An error comes through pickle with its class, text and attributes."""
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        again = pickle.loads(pickle.dumps(error, protocol))
        assert type(again) is type(error)
        assert str(again) == text
        assert {name: getattr(again, name) for name in attributes} == attributes
        assert again.args == error.args


@pytest.mark.parametrize(
    ("kind", "bases"),
    [
        ("StoreError", (errors.ConsentError,)),
        ("StoreUnavailable", (errors.StoreError,)),
        ("NotEntitled", (errors.StoreError,)),
        ("OutcomeUnknown", (errors.StoreError,)),
        ("StoreUnusable", (errors.StoreError,)),
        ("LedgerBroken", (errors.StoreUnusable,)),
        ("HeadNotContinued", (errors.LedgerBroken,)),
        ("InvalidEvent", (errors.ConsentError, ValueError)),
        ("KeyReused", (errors.ConsentError, ValueError)),
        ("VersionConflict", (errors.ConsentError,)),
        ("ConsentDenied", (errors.ConsentError,)),
        ("ClientClosed", (errors.ConsentError,)),
        ("ConsentError", (Exception,)),
    ],
)
def test_tree(kind: str, bases: tuple[type, ...]) -> None:
    """Each error has its place in the tree of the module's docstring."""
    assert getattr(errors, kind).__bases__ == bases

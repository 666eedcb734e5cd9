"""What the OpenAPI document shows: a question and an answer of each operation, and a case of each problem."""

from __future__ import annotations

from typing import Any

from ..holders import UNKNOWN_HOLDER
from ..notices import NoticeText
from ..stores import append_messages
from ..stores.holder_messages import PATHS as HOLDER_PATHS
from ..stores.holder_messages import (
    DueErasuresQuestion,
    ListHoldersQuestion,
    RegisterHolderQuestion,
    RetireHolderQuestion,
)
from ..stores.ledger_messages import PATHS as LEDGER_PATHS
from ..stores.ledger_messages import EntriesQuestion
from ..stores.messages import PATHS, AppendQuestion, ChangesQuestion, HistoryQuestion, LoadQuestion, RequestsQuestion
from ..stores.registry_messages import (
    PATHS as NOTICE_PATHS,
)
from ..stores.registry_messages import (
    LoadNoticesQuestion,
    RegisterNoticeQuestion,
    RequireNoticesQuestion,
)
from ..stores.standing_messages import PATHS as STANDING_PATHS
from ..stores.standing_messages import StandingsListQuestion, StandingsQuestion
from ..stores.token_messages import PATHS as TOKEN_PATHS
from ..stores.token_messages import TokenQuestion

# By problem: its `detail`, and what its document has besides.
DETAILS = {
    "malformed": "correct the question: Expected `array`, got `str` - at `$.user_ids`",
    "unauthorized": "send the header Authorization: Bearer and a token",
    "forbidden": "the token of mailer lacks the scope write:consents: who runs the service gives one that has it",
    "version-conflict": "expected version 1, the record is at 2: load it again, then retry",
    "too-large": "ask for fewer users or append fewer events",
    "invalid-event": "event 1 of 1, Granted, is refused: payment does not stand on consent",
    "key-reused": "this idempotency_key was used with other events: use a new random key for each write",
    "unknown-holder": UNKNOWN_HOLDER,
    "store-unusable": "the database is damaged: restore it from a backup",
    "ledger-broken": "the ledger is broken at position 7: its content was altered: restore it, then start the service",
    "store-unavailable": "another process holds the database locked: try again",
    "outcome-unknown": "repeat the call with the same idempotency_key",
    "internal": "try again",
}

MORE: dict[str, dict[str, Any]] = {
    "version-conflict": {"expected": 1, "actual": 2},
    "forbidden": {"scopes": ["write:consents"]},
    "ledger-broken": {"position": 7},
}

NONCE = "b4c5a9d27e8f4410"
HEAD = {"epoch": "5f0f2f6f2f3f4b0d", "position": 2, "hash": "6b" * 32}
OPENED = {"type": "AccountOpened", "origin": "direct"}
GRANTED = {
    "type": "Granted",
    "purpose": "marketing",
    "notice": "promo-2026-11",
    "channels": ["email"],
    "expires_at": None,
}
AT = "2026-11-24T08:00:00Z"
CONSENT = {
    "purpose": "marketing",
    "channel": "email",
    "notice": "promo-2026-11",
    "given_at": AT,
    "expires_at": None,
    "withdrawn_at": None,
    "entry_version": 2,
    "said_at": None,
}
RECORD = {
    "user_id": "u-1",
    "version": 2,
    "account": "open",
    "account_changed_at": AT,
    "origin": "direct",
    "anonymised": False,
    "consents": {"marketing:email": CONSENT},
    "objected": [],
    "all_restricted": False,
    "restricted": [],
    "published": [],
    "publications": {},
    "notices": {},
    "holds": {},
    "requests": {},
    "erasure": None,
}
STANDING = {
    "account": "open",
    "all_restricted": False,
    "consents": {"marketing:email": ["consented", None]},
    "erasing": False,
    "holds": [],
    "objected": [],
    "published": [],
    "requests": [],
    "restricted": [],
    "sharings": [],
}
STANDINGS = {
    "cursor": HEAD, "at": AT, "view": ["ask:marketing"], "standings": [STANDING], "users": [["u-1", 2, 0]]
}  # fmt: skip
SAID = {"method": "web", "evidence": "form-5f0c", "language": "vi"}
ENTRY = {
    "position": 2,
    "user_id": "u-1",
    "version": 2,
    "at": AT,
    "event": GRANTED,
    "provenance": {"by": "signup", **SAID},
    "notice_digest": None,
    "hash": HEAD["hash"],
}
EXAMPLES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    STANDING_PATHS[StandingsQuestion]: ({"user_ids": ["u-1"]}, STANDINGS),
    STANDING_PATHS[StandingsListQuestion]: ({"after": None, "limit": 1000}, {**STANDINGS, "after": None}),
    PATHS[LoadQuestion]: ({"user_ids": ["u-1"]}, {"cursor": HEAD, "at": AT, "records": [RECORD]}),
    PATHS[AppendQuestion]: (
        {
            "user_id": "u-1",
            "events": [OPENED, GRANTED],
            "expected_version": 0,
            "idempotency_key": "5f0c2d7a91be4e38",
            "provenance": SAID,
        },
        {"user_id": "u-1", "cursor": HEAD, "version": 2, "is_repeat": False, "record": RECORD},
    ),
    append_messages.PATHS[append_messages.AppendManyQuestion]: (
        {"writes": [{"user_id": "u-1", "events": [OPENED, GRANTED]}, {"user_id": "u-2", "events": [GRANTED]}]},
        {
            "results": [
                {"user_id": "u-1", "cursor": HEAD, "version": 2, "is_repeat": False, "record": RECORD},
                {
                    "problem": {
                        "type": "urn:diijam-consent:invalid-event",
                        "title": "The policy refuses an event",
                        "status": 422,
                        "detail": "event 1 of 1, Granted, is refused: the account was never opened",
                    }
                },
            ],
        },
    ),
    PATHS[RequestsQuestion]: ({"limit": 100}, {"at": AT, "records": [RECORD], "after": None}),
    PATHS[HistoryQuestion]: ({"user_id": "u-1", "after": 0}, {"entries": [ENTRY], "after": None}),
    PATHS[ChangesQuestion]: (
        {"after": {**HEAD, "position": 1}, "wait": 15.0, "limit": 1000},
        {
            "after": {**HEAD, "position": 1},
            "cursor": HEAD,
            "user_ids": {"u-1": 2},
            "complete": True,
            "view": ["ask"],
            "waited": 3.2,
        },
    ),
}

EXAMPLES[LEDGER_PATHS[EntriesQuestion]] = (
    {"after": {**HEAD, "position": 1}, "wait": 15.0, "limit": 1000},
    {"after": {**HEAD, "position": 1}, "cursor": HEAD, "entries": [ENTRY], "complete": True},
)

WORDS: dict[str, Any] = {
    "notice": "promo-2026-11",
    "texts": {"vi": "Diijam gửi khuyến mại qua email.", "en": "Diijam sends promotions by email."},
    "purposes": ["marketing"],
    "data": ["email"],
    "recipient": None,
    "sensitive": [],
}
DIGEST = NoticeText(**WORDS).digest
REGISTRATION = {"digest": DIGEST, "registered_at": AT, "by": "privacy-center"}
EXAMPLES |= {
    NOTICE_PATHS[RegisterNoticeQuestion]: (WORDS, {"notice": WORDS["notice"], **REGISTRATION}),
    NOTICE_PATHS[LoadNoticesQuestion]: (
        {"notice": "promo-2026-11"},
        {"notices": [{**WORDS, "languages": ["en", "vi"], **REGISTRATION}], "after": None},
    ),
    NOTICE_PATHS[RequireNoticesQuestion]: ({}, {}),
    TOKEN_PATHS[TokenQuestion]: ({}, {"name": "mailer", "scopes": ["ask:marketing"], "expires_at": None, "at": AT}),
}
HOLDER = {"holder": "mailer", "registered_at": AT, "by": "operations"}
PLACE = ["2026-12-14T08:00:00Z", "u-7"]
EXAMPLES |= {
    HOLDER_PATHS[RegisterHolderQuestion]: ({"holder": "mailer"}, {"holder": HOLDER}),
    HOLDER_PATHS[RetireHolderQuestion]: ({"holder": "mailer"}, {}),
    HOLDER_PATHS[ListHoldersQuestion]: ({}, {"holders": [HOLDER]}),
    HOLDER_PATHS[DueErasuresQuestion]: (
        {"holder": "mailer", "after": PLACE, "limit": 1000},
        {"at": AT, "erasures": [{"user_id": "u-9", "due_at": None, "kept": ["payment"]}], "after": None},
    ),
}

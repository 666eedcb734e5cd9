"""
A ledger for docs/how-to/audit.md: what one made-up customer said in the spring of 2026, and how.

    python examples/audit.py audit.db

The entries have the times of the story, so the ledger is stamped by the story's own clock, and `verify` says so.
Exit code 0: the ledger was made. 2: there is something at the path already.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from contextlib import closing
from datetime import datetime, timedelta, timezone
from pathlib import Path

from diijam_consent_sdk import Channel, Field, HoldKind, Method, NoticeText, Provenance, Purpose, RequestKind
from diijam_consent_sdk import events as e
from diijam_consent_sdk.stores import SqliteStore, Store

CUSTOMER, PARTNER = "u-00042", "tre-xanh-records"  # no real customer, no real label
HANOI = timezone(timedelta(hours=7))
DAY = timedelta(days=1)

PROMO = NoticeText(
    "promo-2026-03",
    {
        "vi": (
            "Diijam muốn gửi cho bạn ưu đãi, khuyến mại và quảng cáo qua email và tin nhắn.\n\n"
            "Diijam chỉ dùng địa chỉ email và số điện thoại của bạn cho việc này. Bạn có thể từ chối bất cứ lúc nào"
            " trong mục Quyền riêng tư; Diijam dừng ngay khi bạn từ chối."
        ),
        "en": (
            "Diijam would like to send you offers, promotions and advertising by email and text message.\n\n"
            "For this Diijam uses your email address and phone number alone. You can say no at any time under Privacy;"
            " Diijam stops at once."
        ),
    },
    {Purpose.MARKETING},
    {Field.EMAIL, Field.PHONE},
)
SHARING = NoticeText(
    "tre-xanh-2026-03",
    {
        "vi": (
            "Nếu bạn đồng ý, Diijam chia sẻ tên người dùng và email của bạn với Tre Xanh Records, để hãng gửi tin về"
            " những nghệ sĩ bạn theo dõi."
        ),
        "en": (
            "If you agree, Diijam shares your username and email with Tre Xanh Records, so that the label can write to"
            " you about artists you follow."
        ),
    },
    {Purpose.MARKETING},
    {Field.USERNAME, Field.EMAIL},
    PARTNER,
)

WEB = Provenance("privacy-center", Method.WEB, "form-7731", "vi")
OLD_SHOP = Provenance("shop-import", Method.IMPORT, "row-118", said_at=datetime(2024, 11, 20, 10, tzinfo=HANOI))
HOTLINE = Provenance("support", Method.CALL, "recording-8812", "vi")
MAIL = Provenance("support", Method.EMAIL, "mail-2207", "vi")

# How many days after 10 February 2026, 08:30 in Hanoi, which events were written together, and how they were said.
STORY: Sequence[tuple[float, Provenance, Sequence[e.Event]]] = (
    (0, WEB, [e.AccountOpened(), e.Published(Field.AVATAR)]),
    (1, OLD_SHOP, [e.Granted(Purpose.SURVEYS, "survey-2024")]),
    (21.03, WEB, [e.Granted(Purpose.MARKETING, PROMO.notice, {Channel.EMAIL, Channel.MESSAGE})]),
    (30, WEB, [e.Notified(SHARING.notice, PARTNER, {Field.USERNAME, Field.EMAIL}, Purpose.MARKETING)]),
    (30.1, WEB, [e.Agreed(SHARING.notice)]),
    (41, Provenance("mailer", Method.MESSAGE, "sms-55", "vi"), [e.Withdrawn(Purpose.MARKETING, {Channel.MESSAGE})]),
    (44, Provenance("billing", Method.SYSTEM), [e.HoldPlaced("invoice-7", HoldKind.DEBT, {Field.PAYMENT})]),
    (46, HOTLINE, [e.Objected(Purpose.TECHNOLOGY_DEVELOPMENT), e.Restricted({Field.LOCATION})]),
    (50, MAIL, [e.RequestFiled("q-17", RequestKind.ACCESS, processor=True)]),
    (51, Provenance("support"), [e.RequestReplied("q-17")]),
)


class StoryClock:
    """The clock of the story, which the story sets."""

    def __init__(self) -> None:
        self.start = self.now = datetime(2026, 2, 10, 8, 30, tzinfo=HANOI)

    def __call__(self) -> datetime:
        """Give the time."""
        return self.now


def tell(store: Store, clock: StoryClock) -> None:
    """Write the story, with other customers between."""
    for notice in (PROMO, SHARING):
        store.register_notice(notice, by="legal")
    for number, (days, provenance, events) in enumerate(STORY):
        clock.now = clock.start + days * DAY
        store.append(f"u-{number:05}", [e.AccountOpened()])
        store.append(CUSTOMER, events, provenance=provenance)


def main(arguments: Sequence[str]) -> int:
    """Make the ledger."""
    parser = argparse.ArgumentParser(
        description="Make a ledger of what one made-up customer said in the spring of 2026."
    )
    parser.add_argument("path", nargs="?", type=Path, default=Path("audit.db"), help="default: audit.db")
    path = parser.parse_args(arguments).path
    if path.exists():
        print(f"error: {path} exists already: name another file, or remove it", file=sys.stderr)
        return 2
    clock = StoryClock()
    with closing(SqliteStore(path, clock=clock)) as store:
        tell(store, clock)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

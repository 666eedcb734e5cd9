"""
What a customer is answered where a call of the library failed, as one table: no choice may end as a bare 500.

The texts say what became of the choice and what to do now. The error's own text is for operators, and is not in them.
"""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from ..errors import (
    ClientClosed,
    ConsentError,
    InvalidEvent,
    KeyReused,
    OutcomeUnknown,
    StoreUnavailable,
    TooLarge,
    VersionConflict,
)
from ..vocabulary import Language


@attrs.frozen
class Failure:
    """
    The answer to one kind of error.

    Args:
        key: The last part of the problem's type.

        status: The status of the response.

        may_retry: Whether a program may send the request again unasked.

        is_for_operator: Whether only an operator can put it right, so that it is logged.
    """

    key: str
    status: int
    may_retry: bool = False
    is_for_operator: bool = False


AWAY = Failure("store-unavailable", 503, may_retry=True)
# Repeated by a program, a yes without an idempotency key could undo a no that was said meanwhile.
UNKNOWN = Failure("outcome-unknown", 503)
OUTDATED = Failure("version-conflict", 409)
# 409, since the form is in order and the account is not: frameworks answer a malformed form with 422.
REFUSED = Failure("invalid-event", 409)
REUSED = Failure("key-reused", 409)
OUT_OF_ORDER = Failure("out-of-order", 503, is_for_operator=True)

# By the error's nearest class. The last one stands for all others, as `NotEntitled` and `StoreUnusable`.
FAILURES: Mapping[type, Failure] = {
    StoreUnavailable: AWAY,
    ClientClosed: AWAY,  # the service ends, and another process of it answers soon
    TooLarge: OUT_OF_ORDER,  # a StoreUnavailable that no repetition makes smaller
    OutcomeUnknown: UNKNOWN,
    VersionConflict: OUTDATED,
    InvalidEvent: REFUSED,
    KeyReused: REUSED,
    ConsentError: OUT_OF_ORDER,
}

# By language: the title and the sentences of the detail, by the failure's key.
TEXTS: Mapping[Language, Mapping[str, tuple[str, ...]]] = {
    "vi": {
        "store-unavailable": (
            "Hệ thống đang bận",
            "Thao tác này chưa thực hiện được và chưa có gì được ghi nhận.",
            "Bạn vui lòng thử lại sau ít phút.",
        ),
        "outcome-unknown": (
            "Chưa rõ lựa chọn của bạn đã được ghi nhận hay chưa",
            "Lựa chọn của bạn có thể đã được ghi nhận, cũng có thể chưa.",
            "Sau ít phút, bạn có thể gửi lại chính biểu mẫu này.",
        ),
        "version-conflict": (
            "Đã có thay đổi sau khi trang này được mở",
            "Vì vậy lựa chọn vừa rồi chưa được ghi nhận.",
            "Bạn vui lòng tải lại trang, xem lại rồi chọn lại.",
        ),
        "invalid-event": (
            "Hiện không thực hiện được thao tác này",
            "Có thể việc này đã được thực hiện trước đó, hoặc không phù hợp với tình trạng hiện tại của tài khoản.",
            "Lần này chưa có gì được ghi nhận.",
            "Bạn vui lòng tải lại trang để xem tình trạng mới nhất.",
        ),
        "key-reused": (
            "Trang này đã gửi một lựa chọn khác trước đó",
            "Vì vậy lựa chọn vừa rồi chưa được ghi nhận.",
            "Bạn vui lòng tải lại trang, xem lại rồi chọn lại.",
        ),
        "out-of-order": (
            "Hệ thống đang gặp trục trặc",
            "Thao tác này chưa thực hiện được và chưa có gì được ghi nhận.",
            "Đây là lỗi từ phía Diijam, bạn vui lòng quay lại sau.",
        ),
    },
    "en": {
        "store-unavailable": (
            "The system is busy",
            "This could not be done, and nothing was recorded.",
            "Please try again in a few minutes.",
        ),
        "outcome-unknown": (
            "It is not clear yet whether this was recorded",
            "Your choice may have been recorded, or not.",
            "You can send the same form again in a few minutes.",
        ),
        "version-conflict": (
            "Something changed after this page was opened",
            "So your choice was not recorded.",
            "Please reload the page, look at it again, then choose.",
        ),
        "invalid-event": (
            "This cannot be done now",
            "It may have been done before, or it does not fit the present state of the account.",
            "Nothing was recorded this time.",
            "Please reload the page to see how things stand.",
        ),
        "key-reused": (
            "This page has sent another choice before",
            "So your choice was not recorded.",
            "Please reload the page, look at it again, then choose.",
        ),
        "out-of-order": (
            "The system is out of order",
            "This could not be done, and nothing was recorded.",
            "The fault is on our side; please come back later.",
        ),
    },
}

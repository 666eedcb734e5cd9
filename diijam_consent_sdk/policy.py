"""
Diijam's privacy policy as data: what each clause makes the SDK answer, and in which words.

The seven clauses, in Vietnamese, are the law here; where their text leaves a doubt, the reading that processes
less stands. `decisions.py` reads these tables; nothing outside them permits anything.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from enum import StrEnum, auto
from functools import partial
from types import MappingProxyType
from typing import Final

import attrs

from .sending import SENDING as SENDING  # noqa: PLC0414 - of the policy's tables, so named here
from .sending import sending_window as sending_window  # noqa: PLC0414
from .vocabulary import LABELS, Channel, Field, HoldKind, Method, Origin, Outcome, Purpose, Reason, RequestKind


class Basis(StrEnum):
    """What a purpose stands on."""

    OPT_IN = auto()  # only with a live consent
    SERVICE = auto()  # while the account is open, until objection or restriction
    DUTY = auto()  # only while a matching hold or request is live, whatever else the customer said


@attrs.frozen
class Wording:
    """How an answer for one reason under one clause reads, in Vietnamese and English, and whether it allows."""

    vi: str
    en: str
    allowed: bool


CLAUSES: Final[Mapping[int, tuple[str, str]]] = MappingProxyType({
    1: ("Quyền kiểm soát dữ liệu của bạn", "Control of your data"),
    2: ("Cài đặt quyền riêng tư và khiếu nại", "Privacy settings and complaints"),
    3: ("Bảo vệ dữ liệu", "Protection of data"),
    4: ("Mục đích sử dụng dữ liệu", "What data is used for"),
    5: ("Không chia sẻ khi chưa báo trước và chưa được đồng ý", "No sharing without notice and agreement"),
    6: ("Lưu giữ và xóa dữ liệu", "Keeping and deleting data"),
    7: ("Thông tin bạn chọn công khai", "What you choose to make public"),
})  # fmt: skip

# Clauses 4 and 6: each purpose stands on one basis.
BASIS: Final[Mapping[Purpose, Basis]] = MappingProxyType({
    Purpose.SERVICE_IMPROVEMENT: Basis.OPT_IN,
    Purpose.SERVICE_DEVELOPMENT: Basis.OPT_IN,
    Purpose.MARKETING: Basis.OPT_IN,
    Purpose.TECHNOLOGY_DEVELOPMENT: Basis.OPT_IN,
    Purpose.CONTESTS: Basis.OPT_IN,
    Purpose.SURVEYS: Basis.OPT_IN,
    Purpose.SERVICE_OPERATION: Basis.SERVICE,
    Purpose.PAYMENT: Basis.SERVICE,
    Purpose.FRAUD_DETECTION: Basis.SERVICE,
    Purpose.TROUBLESHOOTING: Basis.SERVICE,
    Purpose.LEGAL_OBLIGATION: Basis.DUTY,
    Purpose.DISPUTE_RESOLUTION: Basis.DUTY,
    Purpose.DEBT_SETTLEMENT: Basis.DUTY,
    Purpose.RIGHTS_HANDLING: Basis.DUTY,
})  # fmt: skip

# Clause 6: the holds that carry a duty. RIGHTS_HANDLING is not here: clauses 1 and 2 let an open request carry it.
DUTY_HOLDS: Final[Mapping[Purpose, frozenset[HoldKind]]] = MappingProxyType({
    Purpose.LEGAL_OBLIGATION: frozenset({HoldKind.LEGAL, HoldKind.TAX, HoldKind.ACCOUNTING, HoldKind.AUDIT}),
    Purpose.DISPUTE_RESOLUTION: frozenset({HoldKind.DISPUTE}),
    Purpose.DEBT_SETTLEMENT: frozenset({HoldKind.DEBT}),
})  # fmt: skip

# Clause 4: marketing over a channel touches the field that the channel reaches a customer by.
CHANNEL_FIELD: Final[Mapping[Channel, Field]] = MappingProxyType({
    Channel.EMAIL: Field.EMAIL,
    Channel.NOTIFICATION: Field.DEVICE,
    Channel.MESSAGE: Field.PHONE,
    Channel.CALL: Field.PHONE,
})  # fmt: skip

# Clause 7: the only fields a customer may make public.
PUBLISHABLE: Final = frozenset({
    Field.FULL_NAME,
    Field.USERNAME,
    Field.AVATAR,
    Field.FOLLOWER_COUNT,
    Field.FOLLOWERS,
    Field.RECENTLY_FOLLOWED_ARTISTS,
})  # fmt: skip

# The fields that the law calls sensitive, which a notice has to name as such. Source: Decree 356/2025/ND-CP Art. 4, as
# compliance notes report it; counsel confirms before launch.
SENSITIVE: Final = frozenset({Field.LISTENING_HISTORY, Field.LOCATION, Field.PAYMENT})


@attrs.frozen
class TimeLimits:
    """How long Diijam may take for a request, from its receipt on, in days of 24 hours: the strict reading."""

    reply: timedelta  # to say that it arrived, and what happens next
    done: timedelta
    done_with_processor: timedelta  # where somebody outside Diijam must act too
    extension: timedelta  # once, for a reason given to the customer


def _days(reply: int, done: int, done_with_processor: int, extension: int) -> TimeLimits:
    return TimeLimits(*(timedelta(days=days) for days in (reply, done, done_with_processor, extension)))


# Clauses 1 and 2. Source: Decree 356/2025/ND-CP Art. 5, as compliance notes and law firms report it; counsel confirms
# before launch. The complaint's are Diijam's own rule.
TIME_LIMITS: Final[Mapping[RequestKind, TimeLimits]] = MappingProxyType({
    RequestKind.ACCESS: _days(2, 10, 15, 10),
    RequestKind.RECTIFICATION: _days(2, 10, 15, 10),
    RequestKind.ERASURE: _days(2, 20, 30, 20),
    RequestKind.COMPLAINT: _days(2, 10, 15, 10),
})  # fmt: skip
DUE_SOON_SHARE: Final = 4  # a request is due soon with less than this part (a quarter) of its time left


# How much one user may have, so that no record grows without end, and how much one append may bring. A no is never
# refused for it.
MAX_OPEN_REQUESTS: Final = 50
MAX_REQUESTS: Final = 1_000  # open and resolved
MAX_NOTICES: Final = 1_000
MAX_HOLDS: Final = 1_000  # live, released and run out
MAX_EVENTS: Final = 1_000  # in one append

_yes, _no = partial(Wording, allowed=True), partial(Wording, allowed=False)

# Every answer there is, by reason and clause, in Vietnamese and in English.
WORDING: Final[Mapping[tuple[Reason, int], Wording]] = MappingProxyType({
    (Reason.ERASURE_REQUESTED, 1): _no("Bạn đã yêu cầu xóa dữ liệu nên dữ liệu của bạn không còn được sử dụng.",
        "You asked for your data to be erased, so it is no longer used."),
    (Reason.RESTRICTED, 1): _no("Bạn đã hạn chế việc sử dụng dữ liệu này.",
        "You restricted the use of this data."),
    (Reason.OBJECTED, 1): _no("Bạn đã phản đối việc sử dụng dữ liệu cho mục đích này.",
        "You objected to the use of your data for this purpose."),
    (Reason.HELD, 1): _yes("Diijam cần dữ liệu này để giải quyết yêu cầu bạn đã gửi.",
        "Diijam needs this data to handle a request you filed."),
    (Reason.UNAVAILABLE, 3): _no("Hiện chưa thể kiểm tra lựa chọn của bạn nên dữ liệu của bạn không được sử dụng.",
        "Your choices cannot be checked right now, so your data is not used."),
    (Reason.STALE, 3): _no("Thông tin về lựa chọn của bạn cần được kiểm tra lại nên dữ liệu của bạn chưa được sử dụng.",
        "What is known of your choices has to be checked again, so your data is not used."),
    (Reason.NOT_ENTITLED, 3): _no(
        "Dịch vụ này không được phép kiểm tra lựa chọn này nên dữ liệu của bạn không được sử dụng.",
        "This service may not check this choice of yours, so your data is not used."),
    (Reason.UNKNOWN_USER, 3): _no("Diijam không tìm thấy tài khoản này.",
        "Diijam has no account for this user."),
    (Reason.NEEDED_FOR_SERVICE, 4): _yes("Việc này cần thiết để cung cấp dịch vụ cho bạn.",
        "This is needed to provide the service to you."),
    (Reason.CONSENTED, 4): _yes("Bạn đã đồng ý cho Diijam dùng dữ liệu vào mục đích này.",
        "You consented to this purpose."),
    (Reason.WITHDRAWN, 4): _no("Bạn đã từ chối, hoặc đã rút lại sự đồng ý cho Diijam dùng dữ liệu vào mục đích này.",
        "You declined this purpose or withdrew your consent to it."),
    (Reason.EXPIRED, 4): _no("Sự đồng ý của bạn cho Diijam dùng dữ liệu vào mục đích này đã hết hạn.",
        "Your consent to this purpose has expired."),
    (Reason.NOT_CONSENTED, 4): _no("Bạn chưa đồng ý cho Diijam dùng dữ liệu vào mục đích này.",
        "You have not consented to this purpose."),
    (Reason.AGREED, 5): _yes("Bạn đã được báo trước và đã đồng ý chia sẻ dữ liệu này.",
        "You were told beforehand and agreed to share this data."),
    (Reason.BEYOND_NOTICE, 5): _no("Việc chia sẻ này vượt quá phạm vi mà bạn đã đồng ý.",
        "This goes beyond the sharing you agreed to."),
    (Reason.WITHDRAWN, 5): _no("Bạn đã từ chối, hoặc đã rút lại sự đồng ý chia sẻ dữ liệu với bên nhận này.",
        "You declined to share data with this recipient or withdrew your agreement."),
    (Reason.EXPIRED, 5): _no("Sự đồng ý chia sẻ dữ liệu của bạn với bên nhận này đã hết hạn.",
        "Your agreement to share data with this recipient has expired."),
    (Reason.NOT_AGREED, 5): _no("Bạn đã được báo trước nhưng chưa đồng ý chia sẻ dữ liệu với bên nhận này.",
        "You were told about sharing data with this recipient but have not agreed."),
    (Reason.NOT_NOTIFIED, 5): _no("Bạn chưa được báo trước về việc chia sẻ dữ liệu với bên nhận này.",
        "You were never told about sharing data with this recipient."),
    (Reason.NEEDED_FOR_SERVICE, 6): _yes("Việc này cần thiết để duy trì dịch vụ bạn đang sử dụng.",
        "This is needed to keep the service you use running."),
    (Reason.IN_SERVICE, 6): _yes("Diijam lưu giữ dữ liệu này trong thời gian cung cấp dịch vụ cho bạn.",
        "Diijam keeps this data while it provides the service to you."),
    (Reason.HELD, 6): _yes(
        "Diijam phải giữ dữ liệu này đến khi giải quyết xong công nợ, tranh chấp hoặc hoàn thành nghĩa vụ pháp lý.",
        "Diijam must keep this data until a debt, a dispute or a legal duty is settled."),
    (Reason.NO_DUTY, 6): _no("Hiện không có nghĩa vụ hay yêu cầu nào cần dùng đến dữ liệu này.",
        "No duty or request calls for this data now."),
    (Reason.ACCOUNT_CLOSED, 6): _no("Tài khoản đã đóng nên dữ liệu của bạn không còn được sử dụng.",
        "The account is closed, so your data is no longer used."),
    (Reason.ERASED, 6): _no("Dữ liệu của tài khoản này đã được xóa hoặc ẩn danh.",
        "The data of this account was erased or anonymised."),
    (Reason.PUBLISHED, 7): _yes("Bạn đã chọn công khai thông tin này.",
        "You chose to make this public."),
    (Reason.NOT_PUBLISHED, 7): _no("Bạn chưa chọn công khai thông tin này.",
        "You have not chosen to make this public."),
    (Reason.NOT_PUBLISHABLE, 7): _no("Thông tin này không bao giờ được hiển thị công khai.",
        "This is never shown publicly."),
})  # fmt: skip

# The name of each word as a customer reads it, in Vietnamese and in English: `Word.label`.
LABELS.update(
    {
        Origin: {
            "direct": ("Diijam", "Diijam"),
            "facebook": ("Facebook", "Facebook"),
            "google": ("Google", "Google"),
        },
        Purpose: {
            "service_improvement": ("cải thiện dịch vụ", "improving the service"),
            "service_development": ("phát triển dịch vụ mới", "developing new services"),
            "marketing": ("khuyến mại, tiếp thị, quảng cáo", "promotions, marketing, advertising"),
            "troubleshooting": ("tìm và khắc phục sự cố", "finding and fixing problems"),
            "technology_development": ("phát triển tính năng công nghệ mới", "developing new technology"),
            "payment": ("xử lý thanh toán", "handling payments"),
            "fraud_detection": ("phát hiện gian lận", "detecting fraud"),
            "contests": ("cuộc thi, rút thăm trúng thưởng", "contests and lucky draws"),
            "surveys": ("khảo sát nhu cầu, thị hiếu", "surveys"),
            "service_operation": ("vận hành dịch vụ", "running the service"),
            "legal_obligation": ("thực hiện nghĩa vụ pháp lý", "meeting legal duties"),
            "dispute_resolution": ("giải quyết tranh chấp", "settling disputes"),
            "debt_settlement": ("giải quyết công nợ", "settling debts"),
            "rights_handling": ("giải quyết yêu cầu của khách hàng", "handling a customer's requests"),
        },
        Channel: {
            "email": ("email", "email"),
            "notification": ("thông báo trên thiết bị", "notification on a device"),
            "message": ("tin nhắn", "text message"),
            "call": ("điện thoại", "phone call"),
        },
        Field: {
            "full_name": ("họ tên", "full name"),
            "username": ("tên người dùng", "username"),
            "avatar": ("ảnh đại diện", "profile picture"),
            "follower_count": ("số người theo dõi", "number of followers"),
            "followers": ("danh sách người theo dõi", "list of followers"),
            "recently_followed_artists": ("nghệ sĩ được theo dõi gần đây", "artists followed lately"),
            "email": ("email", "email"),
            "phone": ("số điện thoại", "phone number"),
            "address": ("địa chỉ", "address"),
            "birth_date": ("ngày sinh", "date of birth"),
            "gender": ("giới tính", "gender"),
            "location": ("vị trí", "location"),
            "device": ("thiết bị", "device"),
            "payment": ("thông tin thanh toán", "payment details"),
            "listening_history": ("lịch sử nghe", "listening history"),
            "linked_account": ("tài khoản liên kết", "linked account"),
        },
        HoldKind: {
            "debt": ("khoản nợ chưa thanh toán", "an open debt"),
            "dispute": ("tranh chấp", "a dispute"),
            "legal": ("nghĩa vụ pháp lý", "a legal duty"),
            "tax": ("nghĩa vụ thuế", "tax duties"),
            "accounting": ("quy định kế toán", "accounting rules"),
            "audit": ("kiểm toán", "an audit"),
        },
        RequestKind: {
            "access": ("xem dữ liệu", "access"),
            "rectification": ("chỉnh sửa dữ liệu", "rectification"),
            "erasure": ("xóa dữ liệu", "erasure"),
            "complaint": ("khiếu nại", "complaint"),
        },
        Outcome: {
            "fulfilled": ("đã giải quyết", "fulfilled"),
            "refused": ("từ chối", "refused"),
            "cancelled": ("đã hủy", "cancelled"),
        },
        Method: {
            "app": ("trong ứng dụng", "in the app"),
            "web": ("trên trang web", "on the website"),
            "link": ("qua đường dẫn có xác thực", "by a signed link"),
            "email": ("qua email", "by email"),
            "message": ("qua tin nhắn", "by text message"),
            "call": ("qua cuộc gọi có ghi âm", "by a recorded call"),
            "writing": ("bằng văn bản", "in writing"),
            "staff": ("do nhân viên hỗ trợ nhập", "typed in by support"),
            "import": ("chuyển từ hệ thống cũ", "carried over from an older system"),
            "system": ("do hệ thống ghi nhận", "by a system"),
        },
        Reason: {
            "unavailable": ("chưa kiểm tra được", "cannot be checked right now"),
            "stale": ("cần kiểm tra lại", "has to be checked again"),
            "not_entitled": ("dịch vụ không được phép kiểm tra", "this service may not check it"),
            "unknown_user": ("không có tài khoản này", "no such account"),
            "erased": ("dữ liệu đã được xóa", "the data was erased"),
            "not_publishable": ("không bao giờ công khai", "never public"),
            "in_service": ("đang sử dụng dịch vụ", "the service is in use"),
            "held": ("có nghĩa vụ hoặc yêu cầu phải giải quyết", "a duty or a request calls for it"),
            "no_duty": ("không có nghĩa vụ hay yêu cầu nào", "no duty or request calls for it"),
            "erasure_requested": ("đã yêu cầu xóa dữ liệu", "erasure was requested"),
            "account_closed": ("tài khoản đã đóng", "the account is closed"),
            "restricted": ("đã hạn chế", "restricted"),
            "objected": ("đã phản đối", "objected to"),
            "published": ("đã công khai", "made public"),
            "not_published": ("chưa công khai", "not made public"),
            "agreed": ("đã đồng ý chia sẻ", "the sharing was agreed to"),
            "beyond_notice": ("vượt quá phạm vi đã đồng ý", "beyond what was agreed to"),
            "not_agreed": ("chưa đồng ý chia sẻ", "the sharing was not agreed to"),
            "not_notified": ("chưa được báo trước", "not announced beforehand"),
            "needed_for_service": ("cần cho dịch vụ", "needed for the service"),
            "consented": ("đã đồng ý", "consented to"),
            "withdrawn": ("đã từ chối hoặc rút lại sự đồng ý", "declined or withdrawn"),
            "expired": ("sự đồng ý đã hết hạn", "the consent has expired"),
            "not_consented": ("chưa đồng ý", "not consented to"),
        },
    }
)

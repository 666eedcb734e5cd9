"""
Name events and their fields in a customer's words, Vietnamese and English, for `history --lang`.

The names of the ledger are for programs, and a customer who asks for the history has a right to understand it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

import attrs

from .... import events as e
from ....events import Event
from ....vocabulary import Channel, Field, HoldKind, Origin, Outcome, Purpose, RequestKind, Word
from ...console import format_time

Pair = tuple[str, str]  # Vietnamese, English

COLUMNS: Mapping[str, Pair] = {
    "position": ("số thứ tự", "position"),
    "version": ("phiên bản", "version"),
    "at": ("lúc", "at"),
    "event": ("việc", "what happened"),
    "fields": ("chi tiết", "details"),
}
EVENTS: Mapping[type[Event], Pair] = {
    e.AccountOpened: ("Mở tài khoản", "Account opened"),
    e.AccountClosed: ("Đóng tài khoản", "Account closed"),
    e.Granted: ("Đồng ý", "Consented"),
    e.Withdrawn: ("Từ chối hoặc rút lại đồng ý", "Declined or withdrew consent"),
    e.Objected: ("Phản đối", "Objected"),
    e.ObjectionLifted: ("Rút lại phản đối", "Objection lifted"),
    e.Restricted: ("Hạn chế dữ liệu", "Data restricted"),
    e.RestrictionLifted: ("Gỡ hạn chế dữ liệu", "Restriction lifted"),
    e.Notified: ("Được báo trước việc chia sẻ", "Told of a sharing"),
    e.Agreed: ("Đồng ý chia sẻ", "Agreed to a sharing"),
    e.AgreementWithdrawn: ("Từ chối chia sẻ", "Declined a sharing"),
    e.Published: ("Công khai", "Made public"),
    e.Hidden: ("Ẩn", "Hidden"),
    e.RequestFiled: ("Gửi yêu cầu", "Request filed"),
    e.RequestReplied: ("Xác nhận đã nhận yêu cầu", "Request replied to"),
    e.RequestExtended: ("Gia hạn yêu cầu", "Request extended"),
    e.RequestResolved: ("Yêu cầu đã có kết quả", "Request resolved"),
    e.HoldPlaced: ("Phải giữ dữ liệu", "Hold placed"),
    e.HoldReleased: ("Không phải giữ dữ liệu nữa", "Hold released"),
    e.Erased: ("Xóa dữ liệu", "Data erased"),
}
FIELDS: Mapping[str, Pair] = {
    "origin": ("mở qua", "by way of"),
    "purpose": ("mục đích", "purpose"),
    "notice": ("thông báo", "notice"),
    "channels": ("kênh", "channels"),
    "expires_at": ("hết hạn", "expires"),
    "data": ("dữ liệu", "data"),
    "recipient": ("bên nhận", "recipient"),
    "field": ("dữ liệu", "data"),
    "request": ("mã yêu cầu", "request"),
    "kind": ("loại", "kind"),
    "processor": ("cần bên ngoài cùng xử lý", "somebody outside must act too"),
    "received_at": ("nhận lúc", "received"),
    "reason": ("lý do", "reason"),
    "outcome": ("kết quả", "outcome"),
    "hold": ("mã lý do giữ", "hold"),
    "until": ("đến", "until"),
    "anonymised": ("bằng cách ẩn danh", "by anonymising"),
}
WORDS: Mapping[type[Word], Mapping[str, Pair]] = {
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
        "recently_followed_artists": ("nghệ sĩ theo dõi gần đây", "artists followed lately"),
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
        "rectification": ("sửa dữ liệu sai", "rectification"),
        "erasure": ("xóa dữ liệu", "erasure"),
        "complaint": ("khiếu nại", "complaint"),
    },
    Outcome: {
        "fulfilled": ("đã giải quyết", "fulfilled"),
        "refused": ("từ chối", "refused"),
        "cancelled": ("đã hủy", "cancelled"),
    },
}
TRUE: Pair = ("có", "yes")
ALL_DATA: Pair = ("toàn bộ", "all")
ALL_CHANNELS: Pair = ("tất cả", "all")


def event_in(event: Event, language: int) -> str:
    """Name an event in a language, by its place in a pair."""
    return EVENTS[type(event)][language]


def fields_in(event: Event, language: int) -> str:
    """List the fields of an event as `name: value` in a language, by its place in a pair."""
    return "; ".join(f"{FIELDS[name][language]}: {text}" for name, text in _field_texts(event, language))


def _field_texts(event: Event, language: int) -> Iterable[tuple[str, str]]:
    for name, value in attrs.asdict(event, recurse=False).items():
        if name == "data" and value is None:
            yield name, ALL_DATA[language]
        elif name == "channels" and not value and isinstance(event, e.Withdrawn) and event.purpose is Purpose.MARKETING:
            yield name, ALL_CHANNELS[language]
        elif value is not None and value is not False and value != frozenset():
            yield name, _value_text(value, language)


def _value_text(value: object, language: int) -> str:
    if isinstance(value, Word):
        return WORDS[type(value)][value.value][language]
    if isinstance(value, frozenset):
        return ", ".join(sorted(_value_text(member, language) for member in value))
    if isinstance(value, datetime):
        return format_time(value)
    return TRUE[language] if value is True else str(value)

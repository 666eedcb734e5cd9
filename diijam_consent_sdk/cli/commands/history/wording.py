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
from ....vocabulary import LANGUAGES, Language, Purpose, Word
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
TRUE: Pair = ("có", "yes")
ALL_DATA: Pair = ("toàn bộ", "all")
ALL_CHANNELS: Pair = ("tất cả", "all")


def text_in(language: Language, texts: Pair) -> str:
    """Choose of a text in both languages the one in this language."""
    return texts[LANGUAGES.index(language)]


def event_in(language: Language, event: Event) -> str:
    """Name an event in a language."""
    return text_in(language, EVENTS[type(event)])


def fields_in(language: Language, event: Event) -> str:
    """List the fields of an event as `name: value` in a language."""
    return "; ".join(f"{text_in(language, FIELDS[name])}: {text}" for name, text in _field_texts(language, event))


def _field_texts(language: Language, event: Event) -> Iterable[tuple[str, str]]:
    for name, value in attrs.asdict(event, recurse=False).items():
        if name == "data" and value is None:
            yield name, text_in(language, ALL_DATA)
        elif name == "channels" and not value and isinstance(event, e.Withdrawn) and event.purpose is Purpose.MARKETING:
            yield name, text_in(language, ALL_CHANNELS)
        elif value is not None and value is not False and value != frozenset():
            yield name, _value_text(language, value)


def _value_text(language: Language, value: object) -> str:
    if isinstance(value, Word):
        return value.label(language)
    if isinstance(value, frozenset):
        return ", ".join(sorted(_value_text(language, member) for member in value))
    if isinstance(value, datetime):
        return format_time(value)
    return text_in(language, TRUE) if value is True else str(value)

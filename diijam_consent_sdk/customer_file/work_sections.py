"""The sections on what the customer asked of Diijam, and on what Diijam has to keep."""

from __future__ import annotations

from datetime import datetime

from .._html import Markup, element, join
from ..documents.tables import Row, cell, head_cell, lines, section, table
from ..documents.texts import Texts
from ..record import Hold, Request
from .contents import Contents


def requests_section(file: Contents, texts: Texts) -> Markup:
    """Build the section on requests: what was asked, when it is due, and how it stands."""
    requests = file.record.requests.values()
    if not requests:
        return section(texts, "requests", element("p", texts("requests_none")))
    columns = map(texts, ("request", "received", "reply", "due", "state"))
    rows = (_request_row(request, file.made_at, texts) for request in requests)
    return section(texts, "requests", table(texts("requests"), columns, rows))


def _request_row(request: Request, at: datetime, texts: Texts) -> Row:
    processor = texts("processor") if request.processor else ""
    extended = texts("extended", reason=request.extension_reason) if request.extension_reason is not None else ""
    return (
        head_cell(lines(texts.name(request.kind), request.request, processor)),
        cell(texts.brief_time(request.received_at)),
        cell(_reply(request, texts)),
        cell(lines(texts.brief_time(request.due_at), extended)),
        cell(_state(request, at, texts)),
    )


def _reply(request: Request, texts: Texts) -> Markup:
    if request.replied_at is not None:
        return texts.brief_time(request.replied_at)
    key = "reply_due" if request.outcome is None else "reply_missing"
    return texts(key, at=texts.brief_time(request.reply_due_at))


def _state(request: Request, at: datetime, texts: Texts) -> Markup:
    if request.outcome is None or request.resolved_at is None:
        return texts(str(request.state(at)))
    reason = "" if request.reason is None else texts("reason", reason=request.reason)
    return lines(texts.name(request.outcome), texts.brief_time(request.resolved_at), reason)


def holds_section(file: Contents, texts: Texts) -> Markup:
    """Build the section on holds: what has to be kept, why, and until when."""
    holds = file.record.holds.values()
    if not holds:
        return section(texts, "holds", element("p", texts("holds_none")))
    columns = map(texts, ("hold", "because", "data", "from", "until"))
    rows = (_hold_row(hold, texts) for hold in holds)
    return section(texts, "holds", table(texts("holds"), columns, rows))


def _hold_row(hold: Hold, texts: Texts) -> Row:
    return (
        head_cell(hold.hold),
        cell(hold.kind.label(texts.language)),
        cell(texts.labels(hold.data)),
        cell(texts.brief_time(hold.placed_at)),
        cell(_end(hold, texts)),
    )


def _end(hold: Hold, texts: Texts) -> Markup:
    if hold.released_at is not None:
        return texts("released", at=texts.brief_time(hold.released_at))
    return texts("until_released") if hold.until is None else join([texts.brief_time(hold.until)])

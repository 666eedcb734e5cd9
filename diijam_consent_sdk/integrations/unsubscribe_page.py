"""
The page of an unsubscribe link, the same in every framework: it works without JavaScript, cookies and other resources.

A GET changes nothing, since programs that scan mails follow every link. Only a POST says no: by the page's button, or
by that of the mail program (RFC 8058), which sends no cookies and follows no redirect.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

import attrs

from .._html import Markup, content_policy, element, page
from .._logging import log
from ..errors import ConsentError, InvalidEvent
from ..events import Provenance, Withdrawn
from ..vocabulary import LANGUAGES, Language, Method, Purpose
from ..wording import list_labels
from .problem import RETRY_SECONDS, preferred_language

if TYPE_CHECKING:  # else every application would need the extra `links`
    from ..links import UnsubscribeLink, UnsubscribeLinks

LANGUAGE = "lang"  # the query's parameter
ALLOWED = ("GET", "HEAD", "POST")
HTML = "text/html; charset=utf-8"

# By language: title and paragraphs, by what the page is about.
TEXTS: Mapping[Language, Mapping[str, tuple[str, ...]]] = {
    "vi": {
        "ask": (
            "Ngừng nhận tin quảng cáo",
            "Bạn muốn ngừng nhận tin khuyến mại, tiếp thị và quảng cáo của Diijam qua {channels}?",
        ),
        "done": (
            "Bạn đã ngừng nhận tin quảng cáo",
            "Diijam đã ghi nhận: từ nay bạn sẽ không nhận tin khuyến mại, tiếp thị và quảng cáo qua {channels} nữa.",
            "Nếu đổi ý, bạn có thể bật lại trong phần cài đặt quyền riêng tư.",
        ),
        "missing": (
            "Đường dẫn này không dùng được",
            "Đường dẫn có thể đã bị sao chép thiếu hoặc không còn hiệu lực.",
            "Bạn hãy mở lại đường dẫn trong thư, hoặc tắt tin quảng cáo trong phần cài đặt quyền riêng tư.",
        ),
        "erased": (
            "Tài khoản này không còn nữa",
            "Dữ liệu của tài khoản đã được xóa, nên Diijam không còn gửi tin quảng cáo cho tài khoản này.",
        ),
        "away": (
            "Chưa ghi nhận được, bạn vui lòng thử lại",
            "Hệ thống đang bận nên lựa chọn của bạn chưa chắc đã được ghi nhận.",
            "Bạn vui lòng nhấn lại sau ít phút, đường dẫn này vẫn dùng được.",
        ),
        "button": ("Ngừng nhận tin", "Thử lại"),
        "other": ("English",),
    },
    "en": {
        "ask": (
            "Stop promotions",
            "Do you want to stop promotions, marketing and advertising from Diijam by {channels}?",
        ),
        "done": (
            "You will get no more promotions",
            "We recorded it: from now on you get no promotions, marketing or advertising by {channels}.",
            "If you change your mind, you can switch them on again in your privacy settings.",
        ),
        "missing": (
            "This link does not work",
            "It may have been copied only in part, or it is not valid any more.",
            "Open the link in the mail again, or switch promotions off in your privacy settings.",
        ),
        "erased": (
            "This account does not exist any more",
            "Its data was erased, so Diijam sends no promotions to it.",
        ),
        "away": (
            "Not recorded yet, please try again",
            "The system is busy, so your choice may not have been recorded.",
            "Please press the button again in a few minutes; this link still works.",
        ),
        "button": ("Stop promotions", "Try again"),
        "other": ("Tiếng Việt",),
    },
}


@attrs.frozen
class UnsubscribeResponse:
    """Status, headers and body of an HTTP response."""

    status: int
    headers: dict[str, str]
    body: bytes


@attrs.frozen
class Unsubscribing:
    """
    One request to the page of a link.

    Args:
        links: What opens the token.

        token: The last part of the request's path.

        language: The query's parameter `LANGUAGE`, if there is one.

        accept_language: The request's header.
    """

    links: UnsubscribeLinks
    token: str = attrs.field(repr=False)
    language: str | None
    accept_language: str | None

    def link(self) -> UnsubscribeLink | None:
        """Open the token; None if it is no link of ours."""
        try:
            return self.links.open(self.token)
        except ValueError:
            return None

    def withdrawal(self, link: UnsubscribeLink) -> tuple[Withdrawn, Provenance]:
        """Make what a POST records. Only the page's own button says in which language the customer was asked."""
        language = self.language if self.language in LANGUAGES else None
        return Withdrawn(Purpose.MARKETING, link.channels), Provenance(method=Method.LINK, language=language)

    def ask(self, link: UnsubscribeLink) -> UnsubscribeResponse:
        """Answer a GET: ask whether to say no."""
        return self._respond(200, "ask", link)

    def done(self, link: UnsubscribeLink) -> UnsubscribeResponse:
        """Answer a POST whose no is in the ledger."""
        return self._respond(200, "done", link)

    def missing(self) -> UnsubscribeResponse:
        """Answer what is no link of ours."""
        return self._respond(404, "missing")

    def failed(self, error: ConsentError, link: UnsubscribeLink) -> UnsubscribeResponse:
        """Answer a POST whose no could not be recorded. Only an erased user's withdrawal is refused."""
        if isinstance(error, InvalidEvent):
            return self._respond(410, "erased")
        log.warning("unsubscribe.not_recorded", error=type(error).__name__)
        return self._respond(503, "away", link)

    def _respond(self, status: int, about: str, link: UnsubscribeLink | None = None) -> UnsubscribeResponse:
        chosen = [language for language in LANGUAGES if language == self.language]
        language = chosen[0] if chosen else preferred_language(self.accept_language)
        policy = content_policy(_style(), form_action="'self'")
        body = page(TEXTS[language][about][0], _body(about, link, language), _style(), language=language, policy=policy)
        headers = {
            "Cache-Control": "no-store",
            "Content-Language": language,
            "Content-Security-Policy": f"{policy}; frame-ancestors 'none'",
            "Referrer-Policy": "no-referrer",
            "X-Content-Type-Options": "nosniff",
            "X-Robots-Tag": "noindex",
        }
        if status == 503:
            headers["Retry-After"] = str(RETRY_SECONDS)
        return UnsubscribeResponse(status, headers, body.encode())


@cache
def _style() -> str:
    return files(__package__).joinpath("unsubscribe_page.css").read_text(encoding="utf-8")


def _body(about: str, link: UnsubscribeLink | None, language: Language) -> Markup:
    texts = TEXTS[language]
    title, *paragraphs = texts[about]
    channels = list_labels(language, link.channels) if link else ""
    parts = [element("p", "Diijam", class_="brand"), element("h1", title)]
    parts += [element("p", paragraph.format(channels=channels)) for paragraph in paragraphs]
    if about in {"ask", "away"}:
        button = element("button", texts["button"][about == "away"], type="submit")
        parts.append(element("form", button, method="post", action=f"?{LANGUAGE}={language}"))
    if about == "ask":
        (other,) = (one for one in LANGUAGES if one != language)
        switch = element("a", texts["other"][0], href=f"?{LANGUAGE}={other}", lang=other, hreflang=other)
        parts.append(element("p", switch, class_="soft"))
    return element("main", *parts)

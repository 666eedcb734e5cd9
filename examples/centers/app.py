"""The ASGI application of a centre: its guards, security headers, templates, and what it answers on errors."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from functools import cache
from pathlib import Path
from secrets import token_hex
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from litestar import Litestar
from litestar.config.allowed_hosts import AllowedHostsConfig
from litestar.config.csrf import CSRFConfig
from litestar.datastructures import MutableScopeHeaders, State
from litestar.plugins.jinja import JinjaTemplateEngine
from litestar.static_files import create_static_files_router
from litestar.template import TemplateConfig
from litestar.types import ControllerRouterHandler, Message, Scope

from .access import Identify, only_here
from .problems import answer
from .words import CenterWords

HERE = Path(__file__).parent
MAX_FORM_BYTES = 1_000_000
CONTENT_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}


def make_center(
    folder: Path,
    words: type[CenterWords],
    handlers: Sequence[ControllerRouterHandler],
    lifespan: Callable[[Litestar], AbstractAsyncContextManager[None]],
    *,
    identify: Identify | None,
    hosts: Collection[str],
    state: Mapping[str, Any],
    shown: Mapping[str, Any],
) -> Litestar:
    """
    Make a centre of its handlers.

    Args:
        folder: Where its templates and static files are.

        words: Its words.

        handlers: Its pages. The static files are added.

        lifespan: Its clients, for as long as it runs.

        identify: From a request to who sent it; None for a demo, which answers on this machine alone.

        hosts: The hosts that browsers may call it by.

        state: What its handlers share.

        shown: What each of its pages is made with.
    """
    static = create_static_files_router(path="/static", directories=[folder / "static", HERE / "static"])
    return Litestar(
        [*handlers, static],
        guards=[only_here],
        lifespan=[lifespan],
        exception_handlers={Exception: answer},
        template_config=TemplateConfig(instance=_templates(folder)),
        csrf_config=_make_csrf(),
        allowed_hosts=AllowedHostsConfig(allowed_hosts=list(hosts)),
        before_send=[_protect],
        state=State({**state, "identify": identify, "words": words, "shown": shown}),
        request_max_body_size=MAX_FORM_BYTES,
        openapi_config=None,
        logging_config=None,
        debug=False,
        pdb_on_exception=False,
    )


@cache
def _templates(folder: Path) -> JinjaTemplateEngine:
    """The templates of a centre, compiled once for all its applications: tests make hundreds."""
    loader = FileSystemLoader([folder / "templates", HERE / "templates"])
    templates = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    return JinjaTemplateEngine.from_environment(templates)


def _make_csrf() -> CSRFConfig:
    return CSRFConfig(
        token_hex(32),
        cookie_name=f"csrf-{token_hex(4)}",  # a cookie of an earlier start would be sent back, and never be right
        cookie_httponly=True,
        cookie_samesite="strict",
        exclude=["^/static/"],
    )


async def _protect(message: Message, _: Scope) -> None:
    """Every answer, errors included, carries the security headers. Only a document brings a policy that is its own."""
    if message["type"] == "http.response.start":
        headers = MutableScopeHeaders.from_message(message)
        headers.setdefault("Content-Security-Policy", CONTENT_POLICY)
        for name, value in HEADERS.items():
            headers[name] = value

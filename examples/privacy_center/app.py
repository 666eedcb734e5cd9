"""The ASGI application: its pages, what is said to it, and what it answers when something fails."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from secrets import token_hex

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from litestar import Litestar
from litestar.config.allowed_hosts import AllowedHostsConfig
from litestar.config.csrf import CSRFConfig
from litestar.datastructures import MutableScopeHeaders, State
from litestar.plugins.jinja import JinjaTemplateEngine
from litestar.static_files import create_static_files_router
from litestar.template import TemplateConfig
from litestar.types import Message, Scope

from diijam_consent_sdk import AsyncConsentClient

from .customers import CHOSEN, Customer
from .notices import register
from .pages import HANDLERS, Identify, only_here
from .problems import answer
from .services import ASKS, Service

HERE = Path(__file__).parent
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}


def create_app(
    connect: Callable[[], AsyncConsentClient],
    customers: Sequence[Customer] = (),
    *,
    hosts: Collection[str] = ("*",),
    identify: Identify | None = None,
) -> Litestar:
    """
    The privacy centre.

    Args:
        connect: Makes a client of the ledger. Called once for the centre and once for each service, in the event loop.
            The centre's client registers the notices that its consents name, so its token needs `write:notices`.

        customers: The customers a visitor can sign in as, without a password. So a centre without `identify` answers
            only at this machine's loopback address.

        hosts: The hosts, with ports, that browsers may call the centre by; `*` is any.

        identify: From a request to the id of its user, or None. Return only an id that your sign-in proved, never one
            that the request merely names.

    Returns:
        The application, to be run by one server process.
    """

    @asynccontextmanager
    async def connected(app: Litestar) -> AsyncIterator[None]:
        """Clients for as long as the application runs."""
        async with AsyncExitStack() as stack:
            app.state.consent = await stack.enter_async_context(connect())
            await register(app.state.consent)
            app.state.services = [Service(name, await stack.enter_async_context(connect())) for name in ASKS]
            yield

    return Litestar(
        [*HANDLERS, create_static_files_router(path="/static", directories=[HERE / "static"])],
        guards=[only_here],
        lifespan=[connected],
        exception_handlers={Exception: answer},
        template_config=TemplateConfig(instance=_make_templates(customers, identify)),
        csrf_config=_make_csrf(),
        allowed_hosts=AllowedHostsConfig(allowed_hosts=list(hosts)),
        before_send=[_protect],
        state=State({"customers": customers, "identify": identify}),
        openapi_config=None,
        logging_config=None,
        debug=False,
        pdb_on_exception=False,
    )


def _make_templates(customers: Sequence[Customer], identify: Identify | None) -> JinjaTemplateEngine:
    templates = Environment(
        loader=FileSystemLoader(HERE / "templates"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    templates.globals["made_up"] = identify is None and all(one.about in CHOSEN.values() for one in customers)
    templates.globals["picks"] = identify is None
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
    """Every answer, errors included, carries the security headers."""
    if message["type"] == "http.response.start":
        headers = MutableScopeHeaders.from_message(message)
        for name, value in HEADERS.items():
            headers[name] = value

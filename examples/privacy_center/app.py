"""The ASGI application: its pages, and the clients they use."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from secrets import token_bytes

from litestar import Litestar

from diijam_consent_sdk import AsyncConsentClient

from ..centers.access import Identify
from ..centers.app import make_center
from .customers import CHOSEN, Customer
from .holders import at_work
from .notices import register
from .pages import HANDLERS
from .services import ASKS, Service
from .words import Words


def create_app(
    connect: Callable[[], AsyncConsentClient],
    customers: Sequence[Customer] = (),
    *,
    hosts: Collection[str] = ("*",),
    identify: Identify | None = None,
    holders: Collection[str] = (),
) -> Litestar:
    """
    The privacy centre.

    Args:
        connect: Makes a client of the ledger. Called once for the centre and once for each service and each holder, in
            the event loop.
            The centre's client registers the notices that its consents name, so its token needs `write:notices`.

        customers: The customers a visitor can sign in as, without a password. So a centre without `identify` answers
            only at this machine's loopback address.

        hosts: The hosts, with ports, that browsers may call the centre by; `*` is any.

        identify: From a request to the id of its user, or None. Return only an id that your sign-in proved, never one
            that the request merely names.

        holders: The registered holders whose jobs run beside the centre, each with a client of its own: in a
            demonstration. They confirm erasures as their own, so their tokens need `confirm`.

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
            for holder in holders:
                await stack.enter_async_context(at_work(await stack.enter_async_context(connect()), holder))
            yield

    made_up = identify is None and all(one.about in CHOSEN.values() for one in customers)
    return make_center(
        Path(__file__).parent, Words, HANDLERS, connected, identify=identify, hosts=hosts,
        state={"customers": customers, "holders": holders, "seal": token_bytes(32)},
        shown={"made_up": made_up, "picks": identify is None},
    )  # fmt: skip

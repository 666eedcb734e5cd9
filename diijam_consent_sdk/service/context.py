"""What one application shares between its handlers, guards and server. It is made once, by `app.build_app`."""

from __future__ import annotations

import attrs
from litestar.di import NamedDependency

from .feed import ChangeFeed
from .lanes import Lane
from .metrics import Metrics
from .store_executor import StoreExecutor
from .tokens import TokenFile


@attrs.frozen(eq=False)
class ServiceContext:
    """The shared objects of one application. Use them on its event loop only."""

    store: StoreExecutor
    feed: ChangeFeed
    metrics: Metrics
    tokens: TokenFile
    decoding: Lane  # for large questions

    def close(self) -> None:
        """End the long polls and begin no further work."""
        self.feed.close()
        self.store.close()
        self.decoding.close()


Context = NamedDependency[ServiceContext]  # of a handler's argument

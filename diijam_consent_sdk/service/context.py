"""What one application shares between its operations and its server. It is made once, by `app.build_app`."""

from __future__ import annotations

import attrs
from litestar.di import NamedDependency

from .access_log import AccessLog
from .board import Board
from .fair_semaphore import FairSemaphore
from .feed import ChangeFeed
from .lanes import Lane
from .metrics import Metrics
from .store_executor import StoreExecutor
from .tokens import TokenFile
from .unread import Unread


@attrs.frozen(eq=False)
class ServiceContext:
    """The shared objects of one application. Use them on its event loop only."""

    store: StoreExecutor
    feed: ChangeFeed
    metrics: Metrics
    tokens: TokenFile
    access_log: AccessLog
    decoding: Lane  # for large questions
    large_questions: FairSemaphore  # from their reading to their answers
    unread: Unread
    board: Board

    def follow_board(self) -> None:
        """Publish the gauges, and refuse what rests on the ledger once another process found it broken."""
        self.metrics.publish_gauges()
        if self.store.admission.broken is None and (broken := self.board.broken()) is not None:
            self.store.admission.broken = broken
            self.feed.wake(None)

    def close(self) -> None:
        """End the long polls and begin no further work."""
        self.feed.close()
        self.store.close()
        self.decoding.close()


Context = NamedDependency[ServiceContext]  # of a handler's argument

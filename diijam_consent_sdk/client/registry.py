"""The registry of notices and holders, as either client offers it. They share `RegistryOperations`."""

from __future__ import annotations

from ..due import OwedErasure
from ..holders import RegisteredHolder
from ..notices import NoticeText, RegisteredNotice
from .base import BaseClient
from .runners import TaskRunner, ThreadRunner


class Registry(BaseClient):
    """The registry's methods of the client for threads."""

    _runner: ThreadRunner

    def register_notice(self, text: NoticeText) -> RegisteredNotice:
        """
        Register the exact words that customers are shown, so that a consent can be proved word for word.

        The same content again is the same registration: its first time and writer stay. A notice that no entry names
        is under no hash of the ledger.

        Raises:
            InvalidEvent: other content is registered under the id, which is never changed; or the notice leaves a field
                unnamed that the law calls sensitive. The message says what to do.

            OutcomeUnknown: it may have been registered; the same call again finds out.

            StoreUnavailable, StoreUnusable: nothing was written.

            NotEntitled: the service's token lacks the scope `write:notices`.

            ClientClosed: the client is closed.

            TypeError: *text* is no `NoticeText`.
        """
        return self._runner.run(self._engine.registry.register(text))

    def notice(self, notice: str) -> RegisteredNotice | None:
        """
        Load the notice that is registered under this id; None if the id is not registered.

        Raises:
            StoreUnavailable: the store did not answer within the deadline.

            StoreUnusable: its answer cannot be trusted.

            ClientClosed: the client is closed.

            ValueError, TypeError: the id is malformed.
        """
        return self._runner.run(self._engine.registry.notice(notice))

    def notices(self) -> list[RegisteredNotice]:
        """List the registered notices with their texts, in order of ids. Errors as for `notice`."""
        return self._runner.run(self._engine.registry.notices())

    def require_notices(self) -> None:
        """
        Require notices, for good: from now on the ledger refuses `Granted` and `Notified` under an unregistered id.

        Errors as for `register_notice`.
        """
        self._runner.run(self._engine.registry.require())

    def register_holder(self, holder: str) -> RegisteredHolder:
        """
        Register who has copies of customers' data. Each erasure that begins from then on waits for the holder's
        `ErasureConfirmed`.

        The same name again is the same registration: its first time and writer stay.

        Raises:
            InvalidEvent: the ledger has as many holders as it takes.

            OutcomeUnknown: it may have been registered; the same call again finds out.

            StoreUnavailable, StoreUnusable: nothing was written.

            NotEntitled: the service's token lacks the scope `write:erasures`.

            ClientClosed: the client is closed.

            ValueError, TypeError: the name is malformed.
        """
        return self._runner.run(self._engine.registry.register_holder(holder))

    def retire_holder(self, holder: str) -> None:
        """
        Remove a holder: no erasure waits for it any more. One that is not registered changes nothing.

        Errors as for `register_holder`.
        """
        self._runner.run(self._engine.registry.retire_holder(holder))

    def holders(self) -> list[str]:
        """
        List the names of the registered holders, sorted.

        Raises:
            NotEntitled: the service's token lacks the scope `read` or `write:erasures`. All other errors are those of
                `notice`.
        """
        return [known.holder for known in self._runner.run(self._engine.registry.holders())]

    def erasures(self, holder: str) -> list[OwedErasure]:
        """
        List the erasures that a holder has yet to confirm, those that are due first at the beginning.

        A closed account that nobody asked to erase has no `due_at`, and comes last. Once its copies are erased, record
        `ErasureConfirmed(holder, owed.began_at)` of the user: it is refused if the erasure ended meanwhile, even if
        the user asked for another.

        Raises:
            ValueError: no such holder is registered, or the name is malformed.

            NotEntitled: the service's token lacks the scope `write:erasures`, or `confirm` and the holder's name. All
                other errors are those of `notice`.
        """
        return self._runner.run(self._engine.registry.erasures(holder))


class AsyncRegistry(BaseClient):
    """The registry's methods of the client for asyncio."""

    _runner: TaskRunner

    async def register_notice(self, text: NoticeText) -> RegisteredNotice:
        """
        Register the exact words that customers are shown, so that a consent can be proved word for word. See
        `ConsentClient.register_notice`.
        """
        return await self._runner.run(self._engine.registry.register(text))

    async def notice(self, notice: str) -> RegisteredNotice | None:
        """
        Load the notice that is registered under this id; None if the id is not registered. See `ConsentClient.notice`.
        """
        return await self._runner.run(self._engine.registry.notice(notice))

    async def notices(self) -> list[RegisteredNotice]:
        """List the registered notices with their texts, in order of ids. See `ConsentClient.notices`."""
        return await self._runner.run(self._engine.registry.notices())

    async def require_notices(self) -> None:
        """
        Require notices, for good: from now on the ledger refuses `Granted` and `Notified` under an unregistered id. See
        `ConsentClient.require_notices`.
        """
        await self._runner.run(self._engine.registry.require())

    async def register_holder(self, holder: str) -> RegisteredHolder:
        """Register who has copies of customers' data. See `ConsentClient.register_holder`."""
        return await self._runner.run(self._engine.registry.register_holder(holder))

    async def retire_holder(self, holder: str) -> None:
        """Remove a holder: no erasure waits for it any more. See `ConsentClient.retire_holder`."""
        await self._runner.run(self._engine.registry.retire_holder(holder))

    async def holders(self) -> list[str]:
        """List the names of the registered holders, sorted. See `ConsentClient.holders`."""
        return [known.holder for known in await self._runner.run(self._engine.registry.holders())]

    async def erasures(self, holder: str) -> list[OwedErasure]:
        """
        List the erasures that a holder has yet to confirm, those that are due first at the beginning. See
        `ConsentClient.erasures`.
        """
        return await self._runner.run(self._engine.registry.erasures(holder))

"""Gathering a customer's file: the record, its entries and the notices that they name, as of one head of the ledger."""

from __future__ import annotations

from ..customer_file import CustomerFile, checked_language, registered_names
from ..errors import StoreUnavailable
from ..notices import RegisteredNotice
from ..vocabulary import Language
from .effects import Effects
from .engine import Engine
from .exchanges import LAGS
from .lookups import ROUNDS


def gather(engine: Engine, user_id: str, language: Language) -> Effects[CustomerFile]:
    """Read a customer's file. What is written meanwhile is left out, but an erasure, which leaves nothing else."""
    checked_language(language)
    for _ in range(ROUNDS):
        loaded = yield from engine.reads.load(user_id)
        (record,) = loaded.records
        entries = [entry for entry in (yield from engine.reads.history(user_id)) if entry.version <= record.version]
        if (entries[-1].version if entries else 0) == record.version:
            break
    else:  # of an erasure in between the second load has the tombstone, so the store lags
        raise StoreUnavailable(LAGS)
    notices: dict[str, RegisteredNotice] = {}
    for name in registered_names(entries):
        notice = yield from engine.registry.notice(name)
        if notice is not None:
            notices[name] = notice
    return CustomerFile(language, loaded.at, str(loaded.cursor), record, entries, notices)

"""
The library's log: structlog as the application configured it, over a standard-library logger.

A log call never raises, because an error of the application's log configuration must not end a write or a close half
done.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from functools import partial
from inspect import iscoroutine
from typing import Any

import structlog

METHODS = frozenset({"debug", "info", "warning", "error", "critical", "exception", "log"})

_logger = logging.getLogger("diijam_consent_sdk")
_fields = structlog.processors.LogfmtRenderer()


class _TextLogger:
    """The standard-library logger, which also takes the bytes that some structlog renderers give."""

    def __getattr__(self, name: str) -> Any:
        attribute = getattr(_logger, name)
        return partial(_write, attribute) if name in METHODS else attribute


def _write(method: Any, message: Any = None, *args: Any, **options: Any) -> None:
    _refuse_coroutine(message)
    method(message.decode(errors="replace") if isinstance(message, bytes) else message, *args, **options)


def _refuse_coroutine(value: object) -> None:
    if iscoroutine(value):
        value.close()
        raise TypeError("an asynchronous part of the log's configuration cannot be waited for here")


_configured = structlog.wrap_logger(_TextLogger())
_synchronous = structlog.wrap_logger(_TextLogger(), wrapper_class=structlog.stdlib.BoundLogger)


def _is_asynchronous() -> bool:
    wrapper = structlog.get_config()["wrapper_class"]
    return isinstance(wrapper, type) and issubclass(wrapper, structlog.stdlib.AsyncBoundLogger)


class Log:
    """Writes log lines. Safe to use from several threads; raises nothing."""

    def info(self, event: str, **fields: object) -> None:
        """Log what went right."""
        self._write_line("info", event, fields)

    def warning(self, event: str, **fields: object) -> None:
        """Log what may need an operator."""
        self._write_line("warning", event, fields)

    def error(self, event: str, **fields: object) -> None:
        """Log what needs an operator."""
        self._write_line("error", event, fields)

    def _write_line(self, level: str, event: str, fields: dict[str, object]) -> None:
        if structlog.is_configured():
            try:
                way = _synchronous if _is_asynchronous() else _configured
                _refuse_coroutine(getattr(way, level)(event, **fields))
            except Exception as error:  # noqa: BLE001 - the application's error; the plain line below gives its type
                fields["log_failed"] = type(error).__name__
            else:
                return
        with suppress(Exception):  # a logging handler of the application failed, and there is nowhere left to report it
            getattr(_logger, level)(f"{event} {_fields(None, level, fields)}".rstrip())


log = Log()

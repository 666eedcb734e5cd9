"""The library's logger: structlog over a standard-library logger, so that an unconfigured application stays quiet."""

import logging

import structlog

log: structlog.typing.FilteringBoundLogger = structlog.wrap_logger(logging.getLogger("diijam_consent_sdk"))

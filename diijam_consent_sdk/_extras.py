"""Optional dependencies. Each belongs to an extra, and the error for a missing one names the extra to install."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


class ExtraMissing(ModuleNotFoundError):
    """A package of an extra is not installed."""


@contextmanager
def needs_extra(feature: str, extra: str, *packages: str) -> Iterator[None]:
    """
    Turn a failed import inside the block into an error that names the extra to install.

    Args:
        feature: What needs the extra, as the error's subject.

        extra: The extra's name in pyproject.toml.

        packages: The top-level packages that the extra installs. Any other missing module is a bug, and is raised as
            it is.

    Raises:
        ExtraMissing: one of the packages is not installed.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if str(error.name).partition(".")[0] not in packages:
            raise
        raise ExtraMissing(f"{feature} needs its extra: pip install 'diijam-consent-sdk[{extra}]'") from None

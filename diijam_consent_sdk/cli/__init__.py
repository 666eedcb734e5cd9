"""The command line, `diijam-consent`. It needs the extra `cli`: `pip install 'diijam-consent-sdk[cli]'`."""

from __future__ import annotations

import sys

EXTRA = ("cyclopts", "rich")


def main() -> None:
    """
    Run the command that the process was started with.

    Raises:
        SystemExit: always; its code is the exit status.
    """
    try:
        from .app import main as run  # noqa: PLC0415 - the library works without the extra, this must say so
    except ModuleNotFoundError as error:
        if str(error.name).partition(".")[0] not in EXTRA:
            raise
        sys.stderr.write("error: the command line needs its extra: pip install 'diijam-consent-sdk[cli]'\n")
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)
    run()

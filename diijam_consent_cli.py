"""
The program `diijam-consent`.

It lies beside the package, whose import is much of the time of a short command. Ctrl-C meanwhile ends it as it does
later on, and so does a package that is not whole: Python's own status for an error, 1, means that a customer said no.
"""

from __future__ import annotations

import sys
import traceback
from contextlib import suppress


def main() -> None:
    """
    Run the command that the process was started with.

    Raises:
        SystemExit: always; its code is the exit status.
    """
    try:
        from diijam_consent_sdk.cli import main as run  # noqa: PLC0415 - see above

        run()
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception:  # noqa: BLE001 - of the import: `run` tells its own
        with suppress(OSError):
            traceback.print_exc()
        sys.exit(2)

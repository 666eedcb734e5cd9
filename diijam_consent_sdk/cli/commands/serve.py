"""
`diijam-consent serve`: run the consent service over a ledger.

The options are checked here, and the service itself lives in `diijam_consent_sdk.service`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from cyclopts.types import Port

from ..._durations import parse_duration
from ...service import main
from ...service.tokens import HELP
from ..store import Url, require_url

EXAMPLES = """\
Examples:
  diijam-consent serve --url sqlite:///consents.db --tokens tokens.json

The first time, make a token before, and keep what it prints:
  diijam-consent token new --tokens tokens.json --name orders \\
      --scope ask --scope write

Services connect with it, and so does this command:
  export DIIJAM_CONSENT_URL=http://127.0.0.1:8700
  export DIIJAM_CONSENT_TOKEN=dcs_...
  diijam-consent ping

For other machines, with a certificate:
  diijam-consent serve --url sqlite:///consents.db --tokens tokens.json \\
      --host 0.0.0.0 --tls-cert consent.pem --tls-key consent.key

Four processes over PostgreSQL:
  diijam-consent serve --tokens tokens.json --workers 4 \\
      --url "postgresql://consent@db.example/consent?sslmode=verify-full"

A relay on another machine, with another tokens file:
  export DIIJAM_CONSENT_TOKEN=dcs_...
  diijam-consent serve --url https://consent.example --tokens relay.json
"""


Tokens = Annotated[Path, Parameter(help="The file of tokens that may ask; read again when it changes.")]
Host = Annotated[str, Parameter(help="The address to listen on; 127.0.0.1 unless given.")]
PortNumber = Annotated[Port, Parameter(help="The port to listen on; 8700 unless given, 0 for any that is free.")]
TlsCert = Annotated[
    Path | None, Parameter(help="Speak TLS (1.2 and 1.3) with the certificate in this PEM file, its CA's after it.")
]
TlsKey = Annotated[
    Path | None, Parameter(help="The PEM file of the certificate's key, not encrypted. It goes with --tls-cert.")
]
VerifyEvery = Annotated[
    str | None,
    Parameter(
        help="Verify the ledger's chain in the background, again after each such time: 1h, 30m. Over a database only."
    ),
]
Workers = Annotated[
    int,
    Parameter(
        help="How many processes answer on the port, 1 unless given; more over PostgreSQL or as a relay only. One that"
        " ends is started again."
    ),
]


def serve(
    *,
    url: Url = None,
    tokens: Tokens,
    host: Host = "127.0.0.1",
    port: PortNumber = 8700,
    tls_cert: TlsCert = None,
    tls_key: TlsKey = None,
    verify_every: VerifyEvery = None,
    workers: Workers = 1,
) -> int:
    """
    Answer for a ledger over HTTP: the consent service.

    It runs until it is stopped (Ctrl-C, SIGTERM). It prints on standard error where it listens, then one line of JSON
    for each request, without ids. Without --tls-cert and --tls-key it speaks plain HTTP: for other machines, put a
    proxy that does TLS before it. /openapi.json describes it, /healthz and /metrics watch it.

    Over the https:// URL of another consent service it is a relay. A missing database is made.

    With --workers N, N processes answer on the port, over PostgreSQL or as a relay; /metrics, asked of any, is the sum
    of all. A signal to the process that was started ends them all.

    With --verify-every it walks over the ledger's chain, at 2,000 entries a second at most. If somebody altered the
    ledger, it answers nothing more (503 ledger-broken, also /healthz) and writes noes alone, until the ledger was
    restored and the service started again.

    Exit status: 0 stopped, 2 it could not serve.

    Returns:
        The exit status.

    Raises:
        ImportError: the extra `service` is not installed.

        OSError: the tokens file, the certificate or the key cannot be read, or the port is taken.

        ValueError: there is no URL, it names no store, the file holds no tokens, or certificate and key do not fit,
            or *verify_every* is no duration, or given to a relay, or *workers* are several over a SQLite file.

        StoreError: the ledger cannot be used.
    """
    every = None if verify_every is None else parse_duration(verify_every)
    try:
        return main.serve(
            require_url(url),
            tokens=tokens, host=host, port=port, tls_cert=tls_cert, tls_key=tls_key, verify_every=every,
            workers=workers,
        )  # fmt: skip
    except FileNotFoundError as error:
        if error.filename == str(tokens.absolute()):
            error.add_note(HELP)
        raise

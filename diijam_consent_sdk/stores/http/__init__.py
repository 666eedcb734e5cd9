"""A ledger behind a consent service, reached over HTTP."""

"""A ledger behind a consent service."""

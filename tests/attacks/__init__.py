"""Attacks on a served ledger: by a caller, by a customer, and by another user of the machine."""

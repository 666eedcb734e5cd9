"""A deterministic simulator of clients over one store: virtual time, seeded faults, the invariants of protocol.md."""

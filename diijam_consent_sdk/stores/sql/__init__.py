"""What SQLite and PostgreSQL share: the ledger's operations as SQL, its hash chain, its verification and copy."""

"""What one hostile caller, customer or file may try against a served ledger."""

"""The HTTP store."""

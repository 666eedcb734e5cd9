"""What mypy reports."""

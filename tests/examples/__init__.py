"""The example programs and their data."""

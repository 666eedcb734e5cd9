"""The rules of the cache, as plain functions of values."""

"""Faults on real sockets and processes."""

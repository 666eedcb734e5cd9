"""Tests of the clients and their leases."""

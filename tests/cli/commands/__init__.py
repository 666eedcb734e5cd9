"""The tests of each command."""

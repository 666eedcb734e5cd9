"""The tests of `diijam-consent permitted`."""

"""The tests of `diijam-consent record`."""

"""Consent in the frameworks that services are built with, each in a module and an extra of its own."""

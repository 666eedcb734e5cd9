"""
Consent in the frameworks that services are built with.

Each framework has a module and an extra, so that nobody pays for one that is not used.
"""

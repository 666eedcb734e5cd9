"""`python -m diijam_consent_sdk.cli`, the same as `diijam-consent`."""

from . import main

main()

"""The support centre."""

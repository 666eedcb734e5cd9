"""The conformance suite, its cases as written by hand, and stores that must fail it."""

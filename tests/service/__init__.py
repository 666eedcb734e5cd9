"""The consent service, mostly asked over a real socket."""

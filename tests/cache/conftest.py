"""The store that tests of the cache give to a client."""

from tests.client.conftest import store, wall

__all__ = ["store", "wall"]

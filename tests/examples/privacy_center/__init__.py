"""The privacy centre over HTTP, as a browser without JavaScript would use it."""

"""Programs to copy from: each uses only what the library makes public."""

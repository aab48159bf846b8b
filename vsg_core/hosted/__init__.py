"""Models that take text only: one behind an HTTP API, and one on this machine seen through the same small surface."""

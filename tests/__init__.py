"""The tests; folders mirror src/valorem."""

"""Statistics in floating point, kept apart: an estimate leaves here as decimals, once, with its inputs and method."""

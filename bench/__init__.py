"""Benchmarks: what the engine does in a second, beside a bare database doing the same writes in the same run."""

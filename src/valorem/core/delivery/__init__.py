"""Delivery: where notices may go, when they are tried again, and how they read."""

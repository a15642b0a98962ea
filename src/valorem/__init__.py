"""Valorem: an open, self-hosted monetization engine.

The bare package is the light client; the engine needs the ``server`` extra.
"""

__version__ = "0.1.0"

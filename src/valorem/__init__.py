"""Valorem: an open, self-hosted monetization engine.

The bare package is the light client; the engine needs the ``server`` extra.
"""

from valorem.client import ApiError, AsyncClient, Client

__all__ = ["ApiError", "AsyncClient", "Client", "__version__"]

__version__ = "0.1.0"

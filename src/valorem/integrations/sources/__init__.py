"""Reading other systems with dlt, in a process of its own: memory comes back, and a crash stays there."""

from valorem.integrations.sources.process import SubprocessReader

__all__ = ["SubprocessReader"]

"""Stand-ins for other people's systems: programs of their own that speak real HTTP."""

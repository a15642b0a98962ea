"""Connections to other people's services; each is an optional extra."""

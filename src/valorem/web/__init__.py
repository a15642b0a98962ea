"""The pages: rendered on the server, without scripts, readable on a phone and in the dark."""

"""What the reference pages are made from; the command is ``python -m docs.generate``."""

"""The published JSON Schemas of the catalog's files; ``python -m valorem.schemas`` writes them anew."""

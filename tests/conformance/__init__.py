"""Cases read from other engines' public tests and docs, run against Valorem's own functions."""

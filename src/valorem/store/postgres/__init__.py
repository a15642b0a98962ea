"""PostgreSQL: every fact, counter and invoice. SQL is written by hand; each module owns the statements of one noun."""

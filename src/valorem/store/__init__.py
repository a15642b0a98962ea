"""Storage: rows in, core values out. PostgreSQL is the truth, the warehouse is history."""

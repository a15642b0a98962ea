"""Alembic migrations, up and down; each is frozen once released."""

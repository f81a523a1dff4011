"""Alembic migrations, from the first day; `models.store.schema` runs them."""

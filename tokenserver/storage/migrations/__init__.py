"""Migrations of the schema, one module for each version in `versions/`, forward only. See `migrate`."""

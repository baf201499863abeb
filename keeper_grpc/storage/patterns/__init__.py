"""Patterns in the database: rows, captures, ledger, indexes."""

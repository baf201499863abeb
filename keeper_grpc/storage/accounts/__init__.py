"""Accounts in the database: the table, audit, forgetting, unknown words."""

"""The rule of domain/evidence/publication.py as a condition in SQL, to filter before rows are fetched."""

from __future__ import annotations


def enough_accounts(accounts: str, k: str) -> str:
    """Whether so many accounts are enough. Both are SQL expressions."""
    return f"{accounts} >= {k}"


def published(alias: str, k: str) -> str:
    """Whether the evidence of a row of network_patterns may be shown. `k` is a parameter."""
    return enough_accounts(f"{alias}.account_count", k)

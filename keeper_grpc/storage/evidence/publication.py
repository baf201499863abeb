"""The rule of domain/evidence/publication.py as a condition in SQL, to filter before rows are fetched."""

from __future__ import annotations

from keeper_grpc.storage.patterns.words import action_in_words


def enough_accounts(accounts: str, k: str) -> str:
    """Whether so many accounts are enough. Both are SQL expressions."""
    return f"{accounts} >= {k}"


def published(alias: str, k: str) -> str:
    """Whether a row of network_patterns may be shown with its evidence. `k` is a parameter."""
    return (
        f"({enough_accounts(f'{alias}.account_count', k)} AND {action_in_words(alias)} <> ''"
        f" AND {alias}.retired_time IS NULL)"
    )

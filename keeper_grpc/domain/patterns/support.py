"""Who stands behind a pattern, in numbers."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Support:
    """Who has evidence for a pattern, and whether it is `published`: shown with that evidence.

    `owners` are those of the `accounts` that count (qualified ones); `waiting_accounts` do not count yet.
    """

    owners: int
    accounts: int
    waiting_accounts: int
    published: bool

"""An account as the network stores it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class NewAccount:
    """An account that is to be added.

    `owner_key` is the keyed hash of the owner's id, None where the account is its own owner. `registered`:
    an operator said that it joined, rather than a first call. `qualified`: it counts from now on.
    """

    key: str
    business_category: str
    joined_time: datetime
    created_time: datetime
    registered: bool
    qualified: bool
    owner_key: str | None = None


@dataclass(frozen=True, slots=True)
class Account:
    """A keyed hash (`<key id>:<hex HMAC-SHA256 of account_id>`), a line of business, and the key of its owner, which
    is its own where it has none.

    `forgetting`: ForgetAccount has begun and not ended; nothing new of the account may be stored.
    """

    key: str
    business_category: str
    owner_key: str
    forgetting: bool = False

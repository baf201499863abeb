"""An account as the network knows it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Account:
    """A keyed hash (`<key id>:<hex HMAC-SHA256 of account_id>`) and a line of business.

    `forgetting`: ForgetAccount has begun and not ended; nothing more may be stored of it.
    """

    key: str
    business_category: str
    forgetting: bool = False

"""Which accounts count towards k.

Everything of any account is stored. It is used for others once the account qualifies: an account that a first
call invents costs nothing, one that an operator registered and that has been at work for some days does.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, slots=True)
class Qualification:
    """What an account needs to count.

    `open_accounts`: also accounts count that were never registered. `min_age` is the time since the server
    first knew of the account, by the server's clock. `min_active_days` are days (UTC) on which an observation
    of it was recorded, also by the server's clock.
    """

    open_accounts: bool
    min_age: timedelta
    min_active_days: int

    def counts_at_once(self, *, registered: bool) -> bool:
        """Whether an account counts from its first moment."""
        return (registered or self.open_accounts) and not self.min_age and self.min_active_days == 0

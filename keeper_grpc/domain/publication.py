"""When what the network knows may be shown to an account that did not contribute it.

k-anonymity in the sense of Sweeney (2002) on the contributors: a pattern, script or cluster is shown
only when at least `k` distinct accounts support it and none of them holds more than half of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from keeper_grpc.domain.evidence import Evidence


class Withheld(Enum):
    """Why something may not be shown."""

    TOO_FEW_ACCOUNTS = "too_few_accounts"
    ONE_ACCOUNT_DOMINATES = "one_account_dominates"


@dataclass(frozen=True, slots=True)
class PublicationRule:
    """`k` is the least number of distinct accounts behind anything that is shown."""

    k: int = 3

    def withheld(self, evidence: Evidence) -> Withheld | None:
        """The reason to keep this back, or None when it may be shown."""
        if evidence.accounts < self.k:
            return Withheld.TOO_FEW_ACCOUNTS
        if evidence.largest_account_trials * 2 > evidence.trials:
            return Withheld.ONE_ACCOUNT_DOMINATES
        return None

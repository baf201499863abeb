"""When what the network knows may be shown to an account that did not contribute it.

k-anonymity in the sense of Sweeney (2002) on the contributors: a pattern or script is shown only when
at least `k` distinct accounts support it and none of them holds more than half of it. An emerging
cluster needs `k` distinct accounts too (domain/emerging/model.py), but no bound on the share of one: renewals
count once, though one account may hold most of the sightings with many sentences.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from keeper_grpc.domain.evidence.evidence import Evidence


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

    def mean_revenue(self, evidence: Evidence) -> float | None:
        """The mean revenue impact, where enough accounts measured it; None otherwise.

        Fewer accounts measure revenue than observe: the rule holds for those that do.
        """
        measured = Evidence(
            trials=evidence.revenue_count,
            accounts=evidence.revenue_accounts,
            largest_account_trials=evidence.largest_revenue_count,
        )
        if self.withheld(measured):
            return None
        return evidence.revenue_total / evidence.revenue_count

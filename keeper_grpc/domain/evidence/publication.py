"""When what the network knows may be shown to an account that did not contribute it.

k-anonymity in the sense of Sweeney (2002) on the contributors: a pattern or script is shown only when
at least `k` distinct owners support it. One of them may have made most of its observations: what is
shown is of weights that none of them dominates (domain/evidence/evidence.py), so that nobody can take a
pattern away from the others by adding to it. An emerging cluster needs `k` distinct accounts too
(domain/emerging/model.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, time

from keeper_grpc.domain.evidence.evidence import Evidence, two_digits
from keeper_grpc.domain.evidence.guardrails import DEFAULT_LIMITS, Limits


@dataclass(frozen=True, slots=True)
class PublicationRule:
    """`k` is the least number of distinct owners behind anything that is shown. What crosses the `limits` is shown
    and not advised.
    """

    k: int = 3
    limits: Limits = DEFAULT_LIMITS

    def withheld(self, evidence: Evidence) -> bool:
        """Whether too few owners stand behind this for it to be shown."""
        return evidence.accounts < self.k

    def revenue(self, evidence: Evidence) -> float | None:
        """The typical revenue impact in two significant digits, where enough owners measured it; None otherwise.

        Fewer owners measure revenue than observe: the rule holds for those that do. The median of owners' means
        is often one owner's mean, which must not be read to the cent.
        """
        if evidence.typical_revenue is None or evidence.revenue_accounts < self.k:
            return None
        return two_digits(evidence.typical_revenue)


def shown_time(moment: datetime) -> datetime:
    """The midnight (UTC) before: the first and the last time of a pattern are one account's."""
    return datetime.combine(moment.astimezone(UTC).date(), time(), UTC)

"""The figures of a published cluster, and their rounding.

The difference of two consecutive messages shows the contribution of the sightings in between. Sums and
means are therefore rounded coarsely, and a change that rounding hides is not an event. Accounts and
sightings are counted exactly, because k accounts stand behind them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from keeper_grpc.domain.emerging.model import EmergingPattern, Family
from keeper_grpc.domain.emerging.novelty import Known, NoveltyScale
from keeper_grpc.domain.emerging.tally import Tally
from keeper_grpc.domain.emerging.words import ClusterWords


@dataclass(frozen=True, slots=True)
class Describer:
    """Describes clusters. `k` is the least number of accounts behind each category."""

    k: int
    window: timedelta

    def counted(
        self, cluster_id: UUID, family: Family, tally: Tally, mean_similarity: float, now: datetime
    ) -> EmergingPattern:
        """A cluster without words, and with no known pattern near it."""
        model, pattern_type = family
        return EmergingPattern(
            emerging_pattern_id=cluster_id,
            pattern_type=pattern_type,
            embedding_model=model,
            business_categories=tally.categories_of(self.k),
            common_pattern="",
            account_count=tally.account_count,
            sighting_count=len(tally),
            mean_similarity=round(mean_similarity, 3),
            mean_confidence=round(tally.mean_confidence, 2),
            total_potential_value=two_digits(tally.total_potential_value),
            first_seen_time=minute(tally.first_seen_time),
            last_seen_time=minute(tally.last_seen_time),
            growth_rate=round(tally.growth_rate(now, self.window), 2),
        )


def completed(
    cluster: EmergingPattern, words: ClusterWords, known: Known, scale: NoveltyScale
) -> EmergingPattern:
    """The cluster with its words, its novelty, and the pattern that proves it or no longer does."""
    return replace(
        cluster,
        common_pattern=words.common_pattern,
        label=words.label,
        novelty=round(scale.novelty(known), 3),
        promoted_pattern_id=known.proven_pattern_id,
        fading_pattern_id=known.fading_pattern_id,
    )


def two_digits(amount: float) -> float:
    """The amount in two significant digits."""
    return float(f"{amount:.1e}")


def minute(time: datetime) -> datetime:
    """The beginning of the minute."""
    return time.replace(second=0, microsecond=0)

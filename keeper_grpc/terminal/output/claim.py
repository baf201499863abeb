"""What the author of a pattern claims, in words."""

from __future__ import annotations

from keeper_grpc.gen.keeper.network.v1.pattern_pb2 import AuthorClaim


def claimed(claim: AuthorClaim) -> str:
    """The figures that the author states, in one line; empty where there are none."""
    figures = []
    if claim.HasField("success_rate"):
        figures.append(f"{claim.success_rate:.0%} success")
    if claim.HasField("monthly_revenue_dollars"):
        figures.append(f"${claim.monthly_revenue_dollars:,.0f} more revenue a month on average")
    if claim.HasField("adoption_rate"):
        figures.append(f"{claim.adoption_rate:.0%} adoption")
    if claim.HasField("rating_improvement"):
        figures.append(f"ratings {claim.rating_improvement:g} stars higher on average")
    if claim.HasField("improvement_factor"):
        days = claim.improvement_period.ToTimedelta().days
        figures.append(f"results {claim.improvement_factor:g} times as good in {days} days")
    if claim.HasField("learned_from"):
        figures.append(f"learned from {claim.learned_from:,} businesses")
    return ", ".join(figures)

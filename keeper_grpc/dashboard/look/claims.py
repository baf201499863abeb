"""What the author of a pattern claims, as rows of a table. What the author does not state has none."""

from __future__ import annotations

from collections.abc import Iterator

from keeper_grpc.dashboard.look import figures
from keeper_grpc.dashboard.look.money import in_currency
from keeper_grpc.gen.keeper.network.v1.pattern_pb2 import AuthorClaim


def claimed(claim: AuthorClaim) -> Iterator[tuple[str, str]]:
    """Each figure's name and value, then what to do afterwards."""
    if claim.HasField("success_rate"):
        yield "Success rate", figures.share(claim.success_rate)
    if claim.HasField("learned_from"):
        yield "Learned from", figures.count(claim.learned_from, "business", "businesses")
    if claim.HasField("monthly_revenue_dollars"):
        revenue = in_currency(claim.monthly_revenue_dollars, "USD")
        yield "Revenue", f"{revenue} more a month, on average"
    if claim.HasField("adoption_rate"):
        yield "Adoption rate", figures.share(claim.adoption_rate)
    if claim.HasField("rating_improvement"):
        yield "Ratings", f"{claim.rating_improvement:g} stars higher, on average"
    if claim.HasField("improvement_factor"):
        period = figures.span(claim.improvement_period.ToTimedelta().total_seconds())
        yield "Improvement", f"{claim.improvement_factor:g} times as good within {period}"
    if claim.follow_up_action:
        yield "Afterwards", claim.follow_up_action
    if claim.reason:
        yield "Reason", claim.reason
    for guardrail in claim.guardrails:
        yield "Guardrail", guardrail

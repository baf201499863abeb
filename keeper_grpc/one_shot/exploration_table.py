"""What `keeper explore` prints."""

from __future__ import annotations

from rich.markup import escape
from rich.table import Table

from keeper_grpc.domain.evidence.off_policy import Estimate, Value
from keeper_grpc.storage.advice.exploration import Cost, Exploring

_NAMED = "* the proven script"


def exploration_table(exploring: Exploring) -> Table:
    """Each pattern and its scripts, with the three estimates of their success rates."""
    table = Table(
        "category",
        "type",
        "pattern, and its scripts",
        "drawn",
        "owners",
        "by inverse propensity",
        "self-normalized",
        "doubly robust",
        "its 95% interval",
        caption=_NAMED,
    )
    for explored in exploring.patterns:
        scope = explored.pattern.scope
        table.add_row(
            scope.business_category,
            scope.pattern_type,
            escape(explored.pattern.action),
            *_figures(explored.own),
            end_section=not explored.scripts,
        )
        for place, (template, found) in enumerate(sorted(explored.scripts.items()), start=1):
            mark = "* " if template == explored.proven else "  "
            table.add_row(
                "",
                "",
                escape(f"{mark}{template}"),
                *_figures(found),
                end_section=place == len(explored.scripts),
            )
    return table


def exploration_cost(cost: Cost) -> str:
    """What exploring was expected to cost, in one sentence."""
    return (
        f"Of {cost.advised} questions with advice, {cost.patterns} had a choice of patterns and {cost.scripts} one of "
        f"scripts. By what was known then, drawing cost each {100 * cost.mean_loss:.2f} points of success on the "
        f"average, and {100 * cost.most_loss:.2f} at most."
    )


def _figures(found: Value | None) -> tuple[str, ...]:
    if found is None:
        return ("",) * 6
    low, high = found.doubly_robust.interval
    return (
        f"{found.chosen} of {found.choices}",
        str(found.owners),
        _percent(found.inverse_propensity),
        _percent(found.self_normalized),
        _percent(found.doubly_robust),
        f"{100 * max(low, 0.0):.0f} to {100 * min(high, 1.0):.0f}%",
    )


def _percent(estimate: Estimate) -> str:
    return f"{100 * estimate.value:.0f}%"

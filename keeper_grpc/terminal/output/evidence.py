"""Evidence in words. The API sends zeros for withheld evidence; they are never printed."""

from __future__ import annotations

from keeper_grpc.gen.keeper.network.v1.pattern_pb2 import Evidence, Prior
from keeper_grpc.terminal.output.quantities import NOT_ENOUGH_DATA


def known(evidence: Evidence) -> bool:
    """Whether the evidence is published: enough accounts support the pattern."""
    return evidence.account_count > 0


def success(evidence: Evidence) -> str:
    """The success rate."""
    return f"{evidence.success_rate:.0%}" if known(evidence) else NOT_ENOUGH_DATA


def at_least(evidence: Evidence) -> str:
    """The lower bound: the true rate is at least this with 95% certainty."""
    return f"{evidence.lower_bound:.0%}" if known(evidence) else ""


def cases(evidence: Evidence) -> str:
    """The number of observations."""
    return f"{evidence.occurrence_count:,}" if known(evidence) else ""


def accounts(evidence: Evidence) -> str:
    """The number of accounts behind them."""
    return f"{evidence.account_count:,}" if known(evidence) else ""


def sentence(evidence: Evidence) -> str:
    """The evidence in one line, without the revenue."""
    if not known(evidence):
        return f"{NOT_ENOUGH_DATA}: too few accounts have tried it so far"
    return (
        f"{evidence.success_count:,} of {cases(evidence)} cases of {accounts(evidence)} accounts"
        f" succeeded: {success(evidence)}, at least {at_least(evidence)} with 95% certainty"
    )


def revenue(evidence: Evidence) -> str:
    """The typical revenue impact, where enough accounts measured it."""
    if not evidence.HasField("mean_revenue_impact"):
        return NOT_ENOUGH_DATA
    return f"{evidence.mean_revenue_impact:,.2f}"


_LEARNED = {
    Prior.SOURCE_CATEGORY: "learned from {count:,} other patterns of its type and category",
    Prior.SOURCE_TYPE: "learned from {count:,} other patterns of its type in all categories",
    Prior.SOURCE_NETWORK: "learned from {count:,} patterns of all types",
    Prior.SOURCE_AUTHOR: "claimed by its author",
}


def belief(prior: Prior) -> str:
    """The prior in one line: its mean, its weight in cases, and where it comes from."""
    weight = prior.successes + prior.failures
    if prior.source not in _LEARNED or not weight:
        return "nothing: no other pattern is known"
    source = _LEARNED[prior.source].format(count=prior.pattern_count)
    return f"{prior.successes / weight:.0%}, worth {weight:.1f} cases, {source}"

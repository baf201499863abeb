"""Evidence in words. Withheld evidence arrives as zeros, and zeros are never shown for it."""

from __future__ import annotations

from keeper_grpc.gen.keeper.network.v1.pattern_pb2 import Evidence
from keeper_grpc.terminal.output.quantities import NOT_ENOUGH_DATA


def known(evidence: Evidence) -> bool:
    """Whether enough accounts support a pattern for its evidence to be told."""
    return evidence.account_count > 0


def success(evidence: Evidence) -> str:
    """How often it worked."""
    return f"{evidence.success_rate:.0%}" if known(evidence) else NOT_ENOUGH_DATA


def at_least(evidence: Evidence) -> str:
    """What the true rate exceeds with 95% probability."""
    return f"{evidence.lower_bound:.0%}" if known(evidence) else ""


def cases(evidence: Evidence) -> str:
    """How many observations it rests on."""
    return f"{evidence.occurrence_count:,}" if known(evidence) else ""


def accounts(evidence: Evidence) -> str:
    """How many accounts made them."""
    return f"{evidence.account_count:,}" if known(evidence) else ""


def sentence(evidence: Evidence) -> str:
    """All of it but the revenue."""
    if not known(evidence):
        return f"{NOT_ENOUGH_DATA}: too few accounts have tried it so far"
    return (
        f"{evidence.success_count:,} of {cases(evidence)} cases of {accounts(evidence)} accounts"
        f" succeeded: {success(evidence)}, with 95% probability more than {at_least(evidence)}"
    )


def revenue(evidence: Evidence) -> str:
    """The mean revenue impact, where enough accounts measured it."""
    if not evidence.HasField("mean_revenue_impact"):
        return NOT_ENOUGH_DATA
    return f"{evidence.mean_revenue_impact:,.2f}"

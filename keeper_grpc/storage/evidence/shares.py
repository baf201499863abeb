"""Sums in the order of the columns that keep them, and the hash by which texts are found."""

from __future__ import annotations

import hashlib

from keeper_grpc.domain.evidence.sums import ShareSums


def of_pattern(share: ShareSums) -> tuple[float, ...]:
    """An account's share of a pattern, in the order of the columns of pattern_accounts."""
    return (
        share.trials,
        share.successes,
        share.revenue_total,
        share.revenue_count,
        share.recent_trials,
        share.recent_successes,
        share.fast_trials,
        share.fast_successes,
        share.slow_trials,
        share.slow_successes,
    )


def of_facet(share: ShareSums) -> tuple[float, ...]:
    """An account's share of a facet, in the order of the columns of pattern_facets."""
    return (share.trials, share.successes, share.recent_trials, share.recent_successes)


def of_script(share: ShareSums) -> tuple[float, ...]:
    """An account's share of a script, in the order of the columns of script_accounts."""
    return (
        *of_facet(share),
        share.drawn_trials,
        share.drawn_weight,
        share.drawn_squares,
        share.drawn_excess,
    )


def text_hash(text: str) -> bytes:
    """By which a pattern's scripts and wordings are found: rows are keyed by it, texts are long."""
    return hashlib.sha256(text.encode()).digest()

"""What docs/adr/0009 promises of the bundled model's clusters, as the bench measures it."""

from __future__ import annotations

import statistics

from bench.emerging import by_type, full, in_orders, labelled
from keeper_grpc.domain.emerging.reclustering import adjusted_rand


async def test_incremental_clusters_agree_with_a_full_pass() -> None:
    """Between two passes, the clusters are those of a pass by 0.9, in the median of eleven orders."""
    data = await labelled()
    exact = by_type(data, full)
    agreement = [adjusted_rand(found, exact) for found in in_orders(data)]
    assert len(agreement) == 11
    assert statistics.median(agreement) >= 0.9

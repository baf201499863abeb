"""The world of the demo's dashboard, after the story: invented from a seed, so that its truth is known.

Whoever follows advice succeeds by `UPLIFT` more often than the same account would have with an idea of its own,
whatever the question. The network is told outcomes only, and has to find that out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from random import Random

from keeper_grpc.demo.history import Examples
from keeper_grpc.gen.keeper.network.v1.insight_pb2 import Outcome

UPLIFT = 0.25
"""What advice truly adds to the chance of success: more than the network's target of 20 points."""

_ALONE = -0.15
"""An account's own idea beside what the history's accounts, who say what worked, did on the average."""

_ACCOUNT = 0.05
"""Standard deviation of the accounts: some are better at everything."""

_REVENUE = (40, 160)
"""The revenue of a success, in invented money."""

_STAYS_ANYWAY = 0.3
"""Share of customers who stay after a failure."""

_SEED = 7


class InventedWorld:
    """Decides what comes of what accounts do. The same history has the same truth every time."""

    def __init__(self, examples: Examples) -> None:
        self._usual = _success_rates(examples)
        self._luck = Random(_SEED)  # noqa: S311 - nothing is kept secret by it

    def outcome(self, account_id: str, scope: tuple[str, str], *, advised: bool) -> Outcome:
        """What comes of an action: the network's advice, or an idea of the account's own."""
        success = self._luck.random() < self.chance(account_id, scope, advised=advised)
        return Outcome(
            success=success,
            revenue_impact=self._luck.uniform(*_REVENUE) if success else 0.0,
            customer_retained=success or self._luck.random() < _STAYS_ANYWAY,
        )

    def chance(self, account_id: str, scope: tuple[str, str], *, advised: bool) -> float:
        """The true chance of success."""
        own = Random(f"{_SEED}/{account_id}").gauss(0, _ACCOUNT)  # noqa: S311 - see above
        # Kept away from the edges, so that advice adds the same everywhere.
        alone = min(max(self._usual[scope] + _ALONE + own, 0.05), 0.95 - UPLIFT)
        return alone + UPLIFT * advised


def _success_rates(examples: Examples) -> Mapping[tuple[str, str], float]:
    """How often the history's accounts succeeded, by line of business and type."""
    trials: Counter[tuple[str, str]] = Counter()
    successes: Counter[tuple[str, str]] = Counter()
    for row in examples.rows:
        trials[row.scope] += 1
        successes[row.scope] += row.fields["outcome"]["success"]
    return {scope: successes[scope] / trials[scope] for scope in trials}

"""The world of the demo's dashboard, after the story: invented from a seed, so that its truth is known.

Whoever follows advice succeeds by `UPLIFT` more often than the same account would have with an idea of its own,
whatever the question. The network is told outcomes only, and has to find that out. At some questions nothing is done,
with advice or without, as chance wills: no outcome is told of them, and the truth stays what it is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from random import Random

from keeper_grpc.demo.history import Examples
from keeper_grpc.gen.keeper.network.v1.adoption_pb2 import DismissalReason, Reaction
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

_BUSY = 0.2
"""Share of questions at which nothing is done."""

_LEFT = (
    (Reaction.REACTION_DISMISSED, DismissalReason.DISMISSAL_REASON_NO_CAPACITY, 4),
    (Reaction.REACTION_DISMISSED, DismissalReason.DISMISSAL_REASON_TOO_COSTLY, 2),
    (Reaction.REACTION_DISMISSED, DismissalReason.DISMISSAL_REASON_NOT_CONVINCED, 1),
    (Reaction.REACTION_ACCEPTED, DismissalReason.DISMISSAL_REASON_UNSPECIFIED, 2),
    (Reaction.REACTION_SHOWN, DismissalReason.DISMISSAL_REASON_UNSPECIFIED, 1),
)
"""What becomes of advice that is not done, and how often beside each other."""

_SEED = 7


class InventedWorld:
    """Decides what comes of what accounts do. The same history has the same truth every time."""

    def __init__(self, examples: Examples) -> None:
        self._usual = _success_rates(examples)
        self._luck = Random(_SEED)  # noqa: S311 - nothing is kept secret by it
        self._moods = Random(_SEED + 1)  # noqa: S311 - see above

    def outcome(self, account_id: str, scope: tuple[str, str], *, advised: bool) -> Outcome:
        """What comes of an action: the network's advice, or an idea of the account's own."""
        success = self._luck.random() < self.chance(account_id, scope, advised=advised)
        return Outcome(
            success=success,
            revenue_impact=self._luck.uniform(*_REVENUE) if success else 0.0,
            customer_retained=success or self._luck.random() < _STAYS_ANYWAY,
        )

    def acts(self) -> bool:
        """Whether anything is done about the next question."""
        return self._moods.random() >= _BUSY

    def reaction(self, *, acts: bool) -> tuple[Reaction.ValueType, DismissalReason.ValueType]:
        """What becomes of advice, and why if it is dismissed."""
        if acts:
            return Reaction.REACTION_DONE, DismissalReason.DISMISSAL_REASON_UNSPECIFIED
        (left,) = self._moods.choices(_LEFT, [weight for *_, weight in _LEFT])
        return left[:2]

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

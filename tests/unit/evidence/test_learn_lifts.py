from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import pytest

from keeper_grpc.domain.evidence.lifts import Lifts, Worded
from keeper_grpc.domain.evidence.publication import PublicationRule
from keeper_grpc.usecases.evidence.learn_lifts import REST, LearnLifts

SECONDS = 3.0
"""What learning takes."""


class Enough(Exception):
    """Ends the loop."""


class Network:
    """Scripts whose learning takes seconds, and a clock that goes on by one whenever it is looked at."""

    def __init__(self) -> None:
        self.now = 0.0
        self.begun: list[float] = []

    def monotonic(self) -> float:
        self.now += 1.0
        return self.now

    async def worded(self, rule: PublicationRule) -> Sequence[Worded]:
        del rule
        self.begun.append(self.now)
        if len(self.begun) == 4:
            raise Enough
        self.now += SECONDS
        return ()

    async def keep(self, lifts: Lifts) -> int:
        return len(lifts)


async def test_a_network_that_takes_long_is_learned_from_less_often() -> None:
    """However short the interval is, learning takes a twentieth of the time."""
    network = Network()
    learner = LearnLifts(
        store=network,
        rule=PublicationRule(3),
        interval=timedelta(0),
        monotonic=network.monotonic,
    )
    with pytest.raises(Enough):
        await learner.run()
    pauses = [
        later - earlier for earlier, later in zip(network.begun, network.begun[1:], strict=False)
    ]
    assert all(pause >= (1 + REST) * SECONDS for pause in pauses)

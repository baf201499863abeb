"""An oracle in the network's place: it knows the world, and answers by the network's own rules.

It gives the best action in its best words wherever that truly works for an average account as often as the network
demands of advice, and leaves alone who is held out. No network can do better, because its accounts follow advice as
often, and go on with ideas of their own where there is none.
"""

from __future__ import annotations

from collections.abc import Collection

from keeper_grpc.domain.advice.ranking import DEFAULT_MIN_SUCCESS_RATE
from keeper_grpc.domain.evidence.evidence import boost
from keeper_grpc.simulation.parameters import Parameters
from keeper_grpc.simulation.play.episodes import Advice, Answer, Episode
from keeper_grpc.simulation.play.person import lived
from keeper_grpc.simulation.world.population import Account, Met
from keeper_grpc.simulation.world.truth import World, actions_for
from keeper_grpc.simulation.world.wordings import TONES


def best_advice(world: World, met: Met) -> Advice | None:
    """What the oracle says to an insight; None where nothing works often enough."""
    category = met.account.category
    rate, action, tone = max(
        (world.success_rate(category, met.situation, action, tone, day=met.day), action, tone)
        for action in actions_for(met.situation.kind)
        for tone in TONES
    )
    if rate < DEFAULT_MIN_SUCCESS_RATE:
        return None
    return Advice(
        pattern_id="",
        action=action,
        meant=action,
        tone=tone,
        category=category,
        confidence=boost(met.confidence, rate),
        expected=rate,
    )


def with_oracle(
    parameters: Parameters,
    world: World,
    account: Account,
    until: float,
    held_out: Collection[tuple[int, int]],
) -> list[Episode]:
    """The account's episodes with the oracle: the same insights and luck. `held_out` are the questions, by account and
    number of the insight, that the network left alone to measure itself.
    """

    def answer(insight: Met) -> Answer:
        left_alone = (account.number, insight.number) in held_out
        advice = None if left_alone else best_advice(world, insight)
        return Answer("", advice, "", held_out=left_alone)

    return lived(parameters, world, account, until, answer)

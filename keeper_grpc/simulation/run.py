"""One run from the first day to the report."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from keeper_grpc.simulation.measures.marginal import left_out, marginal
from keeper_grpc.simulation.measures.report import Report, lonely_twins, measure
from keeper_grpc.simulation.parameters import Parameters
from keeper_grpc.simulation.play.server import Clock, serving
from keeper_grpc.simulation.play.story import PlayedStory, Story
from keeper_grpc.simulation.world.authors import written_catalog
from keeper_grpc.simulation.world.truth import World


async def simulate(
    parameters: Parameters, progress: Callable[[int], None], leave_out: int = 0
) -> Report:
    """Play the story and measure it, and again without one account, for as many accounts as are to be left out.

    Raises KeeperClientError, and the errors of a server's start.
    """
    world = World(parameters)
    story = await _play(parameters, world, progress)
    report = measure(parameters, world, story)
    if not leave_out:
        return report
    without = {
        number: (await _play(parameters, world, progress, without=number)).episodes
        for number in left_out(parameters, leave_out)
    }
    twins = lonely_twins(parameters, world, parameters.days)
    return replace(report, marginal=marginal(parameters, story.episodes, without, twins))


async def _play(
    parameters: Parameters,
    world: World,
    progress: Callable[[int], None],
    without: int | None = None,
) -> PlayedStory:
    clock = Clock()
    async with serving(parameters, clock, written_catalog(parameters, world)) as network:
        return await Story(parameters, world, network, clock, progress, without=without).play()

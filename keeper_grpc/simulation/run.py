"""One run from the first day to the report."""

from __future__ import annotations

from collections.abc import Callable

from keeper_grpc.simulation.measures.report import Report, measure
from keeper_grpc.simulation.parameters import Parameters
from keeper_grpc.simulation.play.server import Clock, serving
from keeper_grpc.simulation.play.story import Story
from keeper_grpc.simulation.world.truth import World


async def simulate(parameters: Parameters, progress: Callable[[int], None]) -> Report:
    """Play the story and measure it. Raises KeeperClientError, and the errors of a server's start."""
    world, clock = World(parameters), Clock()
    async with serving(parameters, clock) as network:
        story = await Story(parameters, world, network, clock, progress).play()
    return measure(parameters, world, story)

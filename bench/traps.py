"""How much of the advice is a trap: an action that wins guests and loses money.

In each kind of insight one idea succeeds far more often than the others and costs more than it earns, so that
success alone makes it the best advice. The share of traps among what is advised is printed for the whole story and
by third of it, and beside it their share among what accounts did of their own.

    python -m bench.traps [--customers 20] [--days 70] [--seed 1] [--effect 1.5]
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Iterable

from keeper_grpc import logs
from keeper_grpc.simulation.parameters import Parameters
from keeper_grpc.simulation.play.episodes import Episode
from keeper_grpc.simulation.play.server import Clock, serving
from keeper_grpc.simulation.play.story import Story
from keeper_grpc.simulation.world.authors import written_catalog
from keeper_grpc.simulation.world.truth import World


def main() -> None:
    """Play the story and print the shares."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--customers", type=int, default=20)
    parser.add_argument("--days", type=int, default=70)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--effect", type=float, default=1.5, help="log-odds that a trap gains")
    chosen = parser.parse_args()
    logs.configure("error", "console")
    parameters = Parameters(
        customers=(chosen.customers,),
        days=chosen.days,
        seed=chosen.seed,
        trap_effect=chosen.effect,
        # One line of business: a small network of several has hardly any advice to judge.
        category_shares={"spa": 1.0},
        # What the network proves is judged; authors who never saw the bills would add traps of their own.
        authored=False,
    )
    world = World(parameters)
    episodes = asyncio.run(play(parameters, world))
    thirds = [
        [e for e in episodes if e.asked_day * 3 // chosen.days == third] for third in (0, 1, 2)
    ]
    print(f"{'':12}  advised  of it traps   not enhanced: harmful   own ideas: traps")
    for name, part in zip(
        ("all", "1st third", "2nd third", "3rd third"), (episodes, *thirds), strict=True
    ):
        print(f"{name:12}  {line(world, part)}")


async def play(parameters: Parameters, world: World) -> list[Episode]:
    """The story's episodes."""
    clock = Clock()
    async with serving(parameters, clock, written_catalog(parameters, world)) as network:
        story = await Story(parameters, world, network, clock, lambda _: None).play()
    return list(story.episodes)


def line(world: World, episodes: Iterable[Episode]) -> str:
    """The shares of some of the story."""
    part = list(episodes)
    advised = [world.is_trap(e.advice.meant) for e in part if e.advice]
    harmful = sum(e.answer is not None and e.answer.reason == "harmful" for e in part)
    own = [world.is_trap(e.action) for e in part if not e.followed]
    return f"{len(advised):7,}  {share(advised):>11}   {harmful:21,}   {share(own):>16}"


def share(traps: list[bool]) -> str:
    """How many of them are."""
    return f"{sum(traps) / len(traps):.1%} ({sum(traps)})" if traps else "-"


if __name__ == "__main__":
    main()

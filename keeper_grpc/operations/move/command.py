"""`keeper move --to DSN`."""

from __future__ import annotations

import argparse
import asyncio
import sys

from keeper_grpc.command.arguments import within
from keeper_grpc.logged_settings import read_settings
from keeper_grpc.settings import Settings


def declare(command: argparse.ArgumentParser) -> None:
    """Declare the command."""
    command.set_defaults(run=_move)
    command.description = (
        "Move the network from the database of the settings to another one, of a newer PostgreSQL or a Citus cluster, and back "
        "(docs/scaling.md#moving). Servers go on meanwhile; for the switch they refuse calls for some seconds, and from then "
        "on the old database takes no write. Run it again to go on after an interruption."
    )
    command.add_argument(
        "--to",
        metavar="DSN",
        help="the other database, empty and at the same schema (keeper migrate); leave the password to ~/.pgpass",
    )
    command.add_argument(
        "--check",
        action="store_true",
        help="say whether the move could begin or go on; change nothing",
    )
    command.add_argument(
        "--overwrite",
        action="store_true",
        help="replace what an earlier move left in the target",
    )
    command.add_argument(
        "--max-pause",
        type=within(float, 0.1, 86_400.0),
        default=30.0,
        metavar="SECONDS",
        help="longest time in which nobody can write; a switch that takes longer is undone (%(default)s)",
    )
    command.add_argument(
        "--cancel",
        action="store_true",
        help="give up a move that has not switched: the database is as if there had been none",
    )


def _move(parsed: argparse.Namespace) -> int:
    if parsed.cancel == (parsed.to is not None):
        print("keeper move: say either --to DSN or --cancel", file=sys.stderr)
        return 2
    settings = read_settings()
    if parsed.cancel:
        asyncio.run(_cancel(settings))
        print(
            "the move is given up: the network is where it was; drop the database that was its target"
        )
        return 0
    if parsed.check:
        asyncio.run(_check(settings, parsed.to, overwrite=parsed.overwrite))
        print("the move can begin or go on")
        return 0
    paused = asyncio.run(
        _run(settings, parsed.to, overwrite=parsed.overwrite, max_pause=parsed.max_pause)
    )
    if paused is not None:
        print(f"nobody could write for {paused:.1f} seconds")
    print(
        "the network is in the new database: name it in KEEPER_DATABASE_URL of every server, with the same pseudonym keys "
        f"({_keys(settings)}); the old one takes no write any more"
    )
    return 0


async def _run(settings: Settings, to: str, *, overwrite: bool, max_pause: float) -> float | None:
    from keeper_grpc.composition.shared import open_pool
    from keeper_grpc.local_operator import record
    from keeper_grpc.operations.existing_database import existing_database
    from keeper_grpc.operations.move.run import Move
    from keeper_grpc.operations.move.sides import open_sides

    async with existing_database(settings) as dsn, open_sides(dsn, to) as (source, target):
        move = Move(source, target, max_pause=max_pause, say=_say)
        paused = await move(overwrite=overwrite)
        async with open_pool(settings, dsn=to) as pool:
            await record(pool, "move", {})
    return paused


async def _check(settings: Settings, to: str, *, overwrite: bool) -> None:
    from keeper_grpc.operations.existing_database import existing_database
    from keeper_grpc.operations.move.run import Move
    from keeper_grpc.operations.move.sides import open_sides

    async with existing_database(settings) as dsn, open_sides(dsn, to) as (source, target):
        await Move(source, target, max_pause=0, say=_say).check(overwrite=overwrite)


async def _cancel(settings: Settings) -> None:
    from keeper_grpc.operations.existing_database import existing_database
    from keeper_grpc.operations.move.run import cancel
    from keeper_grpc.operations.move.sides import alone, open_side

    async with (
        existing_database(settings) as dsn,
        open_side(dsn, "source") as source,
        alone(source),
    ):
        await cancel(source)


def _say(line: str) -> None:
    print(line, flush=True)


def _keys(settings: Settings) -> str:
    if settings.pseudonym_keys is not None:
        return "KEEPER_PSEUDONYM_KEYS"
    return str(settings.data_dir / "pseudonym.key")

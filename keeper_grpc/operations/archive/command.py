"""`keeper archive`."""

from __future__ import annotations

import argparse
import asyncio
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from keeper_grpc.logged_settings import read_settings
from keeper_grpc.settings import Settings

if TYPE_CHECKING:
    from keeper_grpc.operations.archive.run import Archived


def declare(command: argparse.ArgumentParser) -> None:
    """Declare the command."""
    command.set_defaults(run=_archive)
    command.description = (
        "Move observations that occurred before a month into Parquet files, beside running servers; all counts stay "
        "(docs/operations.md#archives). Files with observations of forgotten accounts are written anew without them. "
        "Run it again to go on after an interruption: nothing is lost or doubled."
    )
    command.add_argument(
        "--before",
        type=_month,
        required=True,
        metavar="YYYY-MM",
        help="the first month that stays in the ledger",
    )
    command.add_argument(
        "--to",
        type=Path,
        required=True,
        metavar="DIR",
        help="the directory of all archives of this database",
    )
    command.add_argument(
        "--check",
        action="store_true",
        help="say what would be archived and hold the files to their checksums; change nothing",
    )


def _month(text: str) -> datetime:
    try:
        month = datetime.strptime(text, "%Y-%m").replace(tzinfo=UTC)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a month such as 2026-01") from None
    if month > datetime.now(UTC):
        raise argparse.ArgumentTypeError(f"{text} has not begun yet")
    return month


def _archive(parsed: argparse.Namespace) -> int:
    settings = read_settings()
    if parsed.check:
        return asyncio.run(_check(settings, parsed.before, parsed.to))
    done = asyncio.run(_run(settings, parsed.before, parsed.to))
    print(
        f"archived {done.observations} observations in {done.files} files ({done.size} bytes) in {parsed.to}; "
        f"{done.stay} from before {parsed.before:%Y-%m} stay in the ledger"
    )
    if done.forgotten:
        print(f"removed {done.forgotten} observations of forgotten accounts from the files")
    if done.left:
        print(
            f"keeper: {done.left} observations changed meanwhile and are still in the ledger: run it again",
            file=sys.stderr,
        )
    return 0


def _asked_before(settings: Settings) -> datetime:
    """Nobody may report on older questions that have no outcome; those that have one can leave with it."""
    return datetime.now(UTC) - settings.enhancement_retention


async def _run(settings: Settings, before: datetime, directory: Path) -> Archived:
    from keeper_grpc.composition.shared import counting_of, open_pool
    from keeper_grpc.local_operator import record
    from keeper_grpc.operations.archive.exclusion import alone
    from keeper_grpc.operations.archive.run import Archiving
    from keeper_grpc.operations.archive.shelf import Shelf
    from keeper_grpc.storage.evidence.rebuild import PostgresRebuild

    async with open_pool(settings, beside_a_server=True) as pool, alone(pool):
        counting = await PostgresRebuild(pool).counted_with(counting_of(settings))
        done = await Archiving(pool, Shelf(directory), counting.half_life)(
            before, _asked_before(settings)
        )
        await record(
            pool,
            "archive",
            {"observations": done.observations, "files": done.files, "forgotten": done.forgotten},
        )
    return done


async def _check(settings: Settings, before: datetime, directory: Path) -> int:
    from keeper_grpc.composition.shared import open_pool
    from keeper_grpc.operations.archive.check import look_over
    from keeper_grpc.operations.archive.exclusion import alone
    from keeper_grpc.operations.archive.shelf import Shelf

    async with open_pool(settings, beside_a_server=True) as pool, alone(pool):
        found = await look_over(pool, Shelf(directory), before, _asked_before(settings))
    for month, observations in found.due.items():
        print(f"{month:%Y-%m}: {observations} observations to archive")
    print(f"{found.stay} from before {before:%Y-%m} stay in the ledger")
    print(
        f"{found.files} files hold {found.observations} observations ({found.size} bytes), "
        f"{found.forgotten} of them of forgotten accounts"
    )
    for problem in found.problems:
        print(f"keeper: {problem}", file=sys.stderr)
    return 1 if found.problems else 0

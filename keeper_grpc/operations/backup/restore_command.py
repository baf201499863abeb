"""`keeper restore DIR`."""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from keeper_grpc.logged_settings import read_settings
from keeper_grpc.operator_error import OperatorError
from keeper_grpc.settings import Settings

if TYPE_CHECKING:
    from keeper_grpc.operations.backup.manifest import Manifest


def declare(command: argparse.ArgumentParser) -> None:
    """Declare the command."""
    command.set_defaults(run=_restore)
    command.description = (
        "Put a backup back, in one transaction, hold it to its manifest and bring it to this program's schema. "
        "The servers of the database must be stopped."
    )
    command.add_argument("directory", type=Path, metavar="DIR", help="what keeper backup wrote")
    command.add_argument(
        "--overwrite",
        action="store_true",
        help="replace a database that holds accounts and evidence",
    )


def _restore(parsed: argparse.Namespace) -> int:
    settings = read_settings()
    manifest, unfit = asyncio.run(_put_back(settings, parsed.directory, parsed.overwrite))
    print(
        f"restored {sum(manifest.rows.values())} rows of {len(manifest.rows)} tables, as of {manifest.made_time}"
    )
    if unfit is not None:
        print(
            f"before a server starts, put the pseudonym keys ({manifest.key_names()}) back: {unfit}",
            file=sys.stderr,
        )
    return 0


async def _put_back(
    settings: Settings, directory: Path, overwrite: bool
) -> tuple[Manifest, OperatorError | None]:
    """The manifest, and what is wrong with the keys of this process for that database."""
    from keeper_grpc.composition.shared import database_server, open_pool
    from keeper_grpc.local_operator import record
    from keeper_grpc.operations.backup.put_back import put_back
    from keeper_grpc.pseudonym_keys import check_pseudonym_keys
    from keeper_grpc.storage.schema.migrate import migrate

    async with database_server(settings) as dsn:
        manifest = await put_back(dsn, directory, overwrite=overwrite)
        await migrate(dsn)
        async with open_pool(settings, dsn=dsn) as pool:
            await record(pool, "restore", manifest.counts())
            try:
                await check_pseudonym_keys(settings, pool)
            except OperatorError as error:
                return manifest, error
    return manifest, None

"""`keeper backup DIR` and `keeper restore DIR`."""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from keeper_grpc.command.subcommand import add_command
from keeper_grpc.logged_settings import read_settings
from keeper_grpc.operator_error import OperatorError
from keeper_grpc.settings import Settings

if TYPE_CHECKING:
    from keeper_grpc.operations.backup.manifest import Manifest


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare both commands."""
    backup = add_command(commands, "backup", "write the database into a new directory", _backup)
    backup.description = (
        "Write the database into a new directory, beside running servers: keeper.dump (pg_dump's custom format) and "
        "manifest.json with versions, row counts and the checksum. The pseudonym keys are not in it: keep them apart."
    )
    backup.add_argument("directory", type=Path, metavar="DIR", help="a new or empty directory")
    restore = add_command(commands, "restore", "put a backup back and verify it", _restore)
    restore.description = (
        "Put a backup back, in one transaction, hold it to its manifest and bring it to this program's schema. "
        "The servers of the database must be stopped."
    )
    restore.add_argument("directory", type=Path, metavar="DIR", help="what keeper backup wrote")
    restore.add_argument(
        "--overwrite",
        action="store_true",
        help="replace a database that holds accounts and evidence",
    )


def _backup(parsed: argparse.Namespace) -> int:
    settings = read_settings()
    manifest, unrecorded = asyncio.run(_take(settings, parsed.directory))
    print(
        f"backed up {sum(manifest.rows.values())} rows of {len(manifest.rows)} tables into {parsed.directory} "
        f"({manifest.dump_bytes} bytes)"
    )
    print(
        f"the pseudonym keys ({_names(manifest)}) are not in it: keep "
        f"{_keys(settings)} apart from it, because together they undo the pseudonyms"
    )
    if files := manifest.rows.get("archive_files"):
        print(
            f"the {files} files of archived observations are not in it: copy their directory beside it"
        )
    if unrecorded:
        print(f"keeper: not written to the audit log: {unrecorded}", file=sys.stderr)
    return 0


def _restore(parsed: argparse.Namespace) -> int:
    settings = read_settings()
    manifest, unfit = asyncio.run(_put_back(settings, parsed.directory, parsed.overwrite))
    print(
        f"restored {sum(manifest.rows.values())} rows of {len(manifest.rows)} tables, as of {manifest.made_time}"
    )
    if unfit is not None:
        print(
            f"before a server starts, put the pseudonym keys ({_names(manifest)}) back: {unfit}",
            file=sys.stderr,
        )
    return 0


async def _take(settings: Settings, directory: Path) -> tuple[Manifest, str]:
    """The manifest, and why the audit log does not have it; empty where it has."""
    from keeper_grpc.operations.backup.take import take_backup
    from keeper_grpc.operations.existing_database import existing_database

    async with existing_database(settings) as dsn:
        manifest = await take_backup(dsn, directory)
        return manifest, await _record_backup(settings, dsn, manifest)


async def _record_backup(settings: Settings, dsn: str, manifest: Manifest) -> str:
    """Write it to the audit log, or say why not: a backup before an upgrade is one all the same."""
    from keeper_grpc.composition.shared import open_pool
    from keeper_grpc.domain.errors import StorageUnavailable
    from keeper_grpc.local_operator import record
    from keeper_grpc.storage.schema.migrate import pending

    if await pending(dsn):
        return "the database's schema is an older one"
    try:
        async with open_pool(settings, dsn=dsn) as pool:
            await record(pool, "backup", _counts(manifest))
    except StorageUnavailable:
        return "the database takes no writes now"
    return ""


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
            await record(pool, "restore", _counts(manifest))
            try:
                await check_pseudonym_keys(settings, pool)
            except OperatorError as error:
                return manifest, error
    return manifest, None


def _counts(manifest: Manifest) -> dict[str, int]:
    return {"rows": sum(manifest.rows.values()), "tables": len(manifest.rows)}


def _names(manifest: Manifest) -> str:
    return ", ".join(manifest.pseudonym_key_ids) or "none yet"


def _keys(settings: Settings) -> str:
    if settings.pseudonym_keys is not None:
        return "KEEPER_PSEUDONYM_KEYS"
    return str(settings.data_dir / "pseudonym.key")

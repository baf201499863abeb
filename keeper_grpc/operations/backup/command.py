"""`keeper backup DIR`."""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from keeper_grpc.logged_settings import read_settings
from keeper_grpc.settings import Settings

if TYPE_CHECKING:
    from keeper_grpc.operations.backup.manifest import Manifest


def declare(command: argparse.ArgumentParser) -> None:
    """Declare the command."""
    command.set_defaults(run=_backup)
    command.description = (
        "Write the database into a new directory, beside running servers: keeper.dump (pg_dump's custom format) and "
        "manifest.json with versions, row counts and the checksum. The pseudonym keys are not in it: keep them apart."
    )
    command.add_argument("directory", type=Path, metavar="DIR", help="a new or empty directory")


def _backup(parsed: argparse.Namespace) -> int:
    settings = read_settings()
    manifest, unrecorded = asyncio.run(_take(settings, parsed.directory))
    print(
        f"backed up {sum(manifest.rows.values())} rows of {len(manifest.rows)} tables into {parsed.directory} "
        f"({manifest.dump_bytes} bytes)"
    )
    print(
        f"the pseudonym keys ({manifest.key_names()}) are not in it: keep "
        f"{_keys(settings)} apart from it, because together they undo the pseudonyms"
    )
    if files := manifest.rows.get("archive_files"):
        print(
            f"the {files} files of archived observations are not in it: copy their directory beside it"
        )
    if unrecorded:
        print(f"keeper: not written to the audit log: {unrecorded}", file=sys.stderr)
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
            await record(pool, "backup", manifest.counts())
    except StorageUnavailable:
        return "the database takes no writes now"
    return ""


def _keys(settings: Settings) -> str:
    if settings.pseudonym_keys is not None:
        return "KEEPER_PSEUDONYM_KEYS"
    return str(settings.data_dir / "pseudonym.key")

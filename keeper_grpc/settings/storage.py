"""The database: where it is, how it is waited for, and what of it is kept in memory."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, Field

from keeper_grpc.settings.invalid import SettingsInvalid
from keeper_grpc.settings.values import (
    Count,
    Directory,
    Seconds,
    Secret,
    StatementSeconds,
    not_empty,
)


def _default_data_dir() -> Path:
    """The state directory of a service for root (FHS), of a user otherwise (XDG base directories)."""
    if os.geteuid() == 0:
        return Path("/var/lib/keeper")
    try:
        shared = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    except RuntimeError:
        # A container's arbitrary user id.
        raise SettingsInvalid(
            "KEEPER_DATA_DIR: required, since the user has no home directory"
        ) from None
    return Path(shared) / "keeper"


class StorageSettings(BaseModel):
    """Connections, statements, memories and the catalog."""

    database_url: Annotated[Secret, BeforeValidator(not_empty)] = Field(
        None, description="PostgreSQL with pgvector; unset starts the bundled server"
    )
    replica_database_url: Annotated[Secret, BeforeValidator(not_empty)] = Field(
        None,
        description="a streaming standby of KEEPER_DATABASE_URL, for patterns, metrics and snapshots of streams; "
        "unset reads all from the primary",
    )
    replica_max_lag: Seconds = Field(
        timedelta(seconds=1),
        description="staleness from which reads leave the replica for the primary, until it has caught up",
    )
    data_dir: Directory = Field(
        default_factory=_default_data_dir,
        description="where the bundled database and the generated pseudonym key live; "
        "/var/lib/keeper for root, else ~/.local/share/keeper",
    )
    pool_size: int = Field(10, ge=4, le=1_000, description="most database connections")
    acquire_timeout: Seconds = Field(
        timedelta(seconds=5), description="longest wait for a connection of the pool"
    )
    statement_timeout: StatementSeconds = Field(
        timedelta(seconds=10), description="longest single database statement"
    )
    ann_scope_size: Count = Field(
        100_000, description="patterns of one scope from which enhancing searches approximately"
    )
    published_memory: int = Field(
        1024,
        ge=0,
        le=1_000_000,
        description="megabytes of published patterns that the process keeps in memory to answer questions from, 3 to 8 "
        "KB a pattern; 0 lets the database answer",
    )
    places_memory: int = Field(
        512,
        ge=0,
        le=1_000_000,
        description="megabytes of where patterns lie that the process keeps in memory to place captures among them, 4 to "
        "12 KB a pattern; 0 lets the database search",
    )
    maintenance_interval: Seconds = Field(
        timedelta(hours=1), description="time between checks for scopes that need an index"
    )
    migration_lock_timeout: StatementSeconds = Field(
        timedelta(seconds=5),
        description="longest wait of a migration for a table that others use; calls wait behind it",
    )
    startup_timeout: Seconds = Field(
        timedelta(seconds=30), description="longest wait for the database at the start"
    )
    seed_catalog: bool = Field(
        True,
        description="seed the catalog at the first start on a database, and again when a release has a "
        "newer one; false leaves it to keeper seed",
    )

"""A database for a command that looks at it: never a new one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from keeper_grpc.composition.shared import database_server
from keeper_grpc.operator_error import OperatorError
from keeper_grpc.settings import Settings
from keeper_grpc.storage.embedded.cluster import Layout


class NoDatabase(OperatorError):
    """The data directory has no database yet."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(
            f"{settings.data_dir} holds no database yet: `keeper serve` makes one, KEEPER_DATA_DIR names another "
            "directory, KEEPER_DATABASE_URL another server"
        )


@asynccontextmanager
async def existing_database(settings: Settings) -> AsyncIterator[str]:
    """The DSN of the settings' database as it is, beside a server of it or alone.

    Raises NoDatabase, and EmbeddedPostgresError of a bundled server that does not start.
    """
    if settings.database_url is None and not Layout(settings.data_dir).pgdata.exists():
        raise NoDatabase(settings)
    async with database_server(settings, beside_a_server=True) as dsn:
        yield dsn

"""Foreign keys of the target: away while rows come in any order, and back before it serves."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from keeper_grpc.storage.connections.move_mark import SCHEMA

if TYPE_CHECKING:
    from keeper_grpc.storage.database import Connection


async def drop_keys(target: Connection) -> None:
    """Drop them, within the caller's transaction, and remember how to make them again."""
    await target.execute(
        f"""
        CREATE TABLE {SCHEMA}.keys (
            table_name text NOT NULL, name text NOT NULL, definition text NOT NULL, PRIMARY KEY (table_name, name))
        """
    )
    await target.execute(
        f"""
        INSERT INTO {SCHEMA}.keys
        SELECT conrelid::regclass::text, quote_ident(conname), pg_get_constraintdef(oid) FROM pg_constraint
         WHERE contype = 'f' AND conparentid = 0 AND connamespace = current_schema()::regnamespace
           AND conrelid IN (SELECT oid FROM pg_class WHERE relnamespace = current_schema()::regnamespace)
        """  # noqa: S608 - a constant
    )
    keys = await target.fetch(f"SELECT table_name, name FROM {SCHEMA}.keys")  # noqa: S608 - a constant
    async with _on_every_node(target):
        for key in keys:
            await target.execute(f"ALTER TABLE {key['table_name']} DROP CONSTRAINT {key['name']}")


async def restore_keys(target: Connection) -> None:
    """Make those that are missing, for what is written from now on; what is there is looked through by `prove_keys`."""
    keys = await target.fetch(
        f"""
        SELECT k.table_name, k.name, k.definition FROM {SCHEMA}.keys k
         WHERE NOT EXISTS (SELECT 1 FROM pg_constraint c
                            WHERE c.conrelid = k.table_name::regclass AND quote_ident(c.conname) = k.name)
        """  # noqa: S608 - a constant
    )
    async with _on_every_node(target):
        for key in keys:
            await target.execute(
                f"ALTER TABLE {key['table_name']} ADD CONSTRAINT {key['name']} {key['definition']} NOT VALID"
            )


async def prove_keys(target: Connection) -> None:
    """Let PostgreSQL look through the rows that were there before; writers go on meanwhile."""
    keys = await target.fetch(
        """
        SELECT conrelid::regclass::text AS table_name, quote_ident(conname) AS name FROM pg_constraint
         WHERE contype = 'f' AND NOT convalidated AND connamespace = current_schema()::regnamespace
        """
    )
    async with _on_every_node(target):
        for key in keys:
            await target.execute(
                f"ALTER TABLE {key['table_name']} VALIDATE CONSTRAINT {key['name']}"
            )


@asynccontextmanager
async def _on_every_node(target: Connection) -> AsyncIterator[None]:
    """Change the tables' parts on a cluster's workers too. A plain server has no such setting, and minds none."""
    await target.execute("SET citus.enable_ddl_propagation = on")
    yield
    # After a failure the run ends, and its session with it.
    await target.execute("SET citus.enable_ddl_propagation = off")

"""Spread the schema's tables over the workers of a Citus cluster, by scope.

Each table has one of three places. What a scope has lies on the worker that has the scope: everything that a capture
reads and writes of it is on one machine. What every scope joins with lies on every worker, and is seldom written. The
rest stays on the coordinator: settings, and what is kept by account, by request, by day or once for the network.

    DistributionError
     +- ClusterMissing      the database is not the coordinator's of a Citus cluster with workers
     +- AlreadyFilled       the tables are on one server and have rows

docs/adr/0021-on-many-machines.md has the reasons.
"""

from __future__ import annotations

from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from keeper_grpc.operator_error import OperatorError
from keeper_grpc.storage.connections.refusals import for_the_operator
from keeper_grpc.storage.connections.session import settle
from keeper_grpc.storage.locks import AdvisoryLock, lock
from keeper_grpc.storage.schema.preflight import connect

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from keeper_grpc.storage.database import Connection


class Place(StrEnum):
    """Where the rows of a table lie."""

    SCOPE = "by scope"
    EVERYWHERE = "on every worker"
    COORDINATOR = "on the coordinator"


# The first of each list comes first: the others lie with it.
_TABLES: Final = {
    Place.SCOPE: (
        "network_patterns",
        "pattern_versions",
        "pattern_actions",
        "merged_patterns",
        "withdrawn_scripts",
        "authored_claims",
        "next_patterns",
        "pattern_accounts",
        "pattern_harms",
        "pattern_facets",
        "pattern_wordings",
        "pattern_scripts",
        "script_accounts",
        "observations",
        "enhancement_outcomes",
        "enhancements",
        "reactions",
        "pattern_advice",
        "experiment_outcomes",
        "rolled_advice",
        "archived_parts",
        "archived_wordings",
        "learned_triggers",
    ),
    Place.EVERYWHERE: ("accounts", "learned_priors"),
    Place.COORDINATOR: (
        # Every process reads all versions twice a second, and every change ends with one.
        "scopes",
        "stale_patterns",
        # The detector, of which there is one, compares all of them, and they go after its window.
        "sightings",
        "next_sightings",
        # By account, by request, by word.
        "account_milestones",
        "waiting_outcomes",
        "rolled_questions",
        "rolled_accounts",
        "rolled_arms",
        "word_accounts",
        "archived_days",
        "archived_experiment",
        "archived_transfers",
        "archived_choices",
        "archived_reactions",
        "archived_steps",
        "archive_subjects",
        "archive_files",
        "archive_groups",
        "archive_holdings",
        "outcome_requests",
        "outcome_revisions",
        "reaction_requests",
        # Once for the network.
        "schema_migrations",
        "embedding_space",
        "followers",
        "embedding_cache",
        "pseudonym_keys",
        "evidence_settings",
        "qualification_settings",
        "account_changes",
        "account_tombstones",
        "word_decisions",
        "audit_events",
        "seeded_catalogs",
        "emerging_patterns",
        "emerging_events",
        "emerging_history",
        "daily_measures",
        "measure_changes",
    ),
}

PLACES: Final[Mapping[str, Place]] = MappingProxyType(
    {table: place for place, tables in _TABLES.items() for table in tables}
)
"""Where each table of the schema lies in a distributed database."""

SESSIONS: Final[Mapping[str, str]] = MappingProxyType(
    {
        # A transaction that changed a table on every worker may change those that refer to it on one connection a
        # worker only.
        "citus.multi_shard_modify_mode": "sequential",
        # Citus hides its shards from whoever reads the catalog, by a function for each row of it. A driver that
        # learns the types of a new connection would wait for seconds.
        "citus.override_table_visibility": "off",
        # One statement about several scopes at a time would lock every other out of its tables, until its transaction
        # ends. Whoever changes rows has locked their scope or their account before.
        "citus.enable_deadlock_prevention": "off",
    }
)
"""What every session of a distributed database is set to. Settings of a database, which its copies do not have."""


class DistributionError(OperatorError):
    """Base of the reasons why a database cannot be distributed."""


class ClusterMissing(DistributionError):
    """There is nothing to distribute to."""

    def __init__(self, reason: str) -> None:
        super().__init__(
            f"{reason}: keeper migrate --distributed needs the coordinator's database of a Citus cluster "
            "with at least one worker (CREATE EXTENSION citus, citus_set_coordinator_host, citus_add_node)"
        )


class AlreadyFilled(DistributionError):
    """The database holds rows on one server."""

    def __init__(self, table: str) -> None:
        super().__init__(
            f"the database is on one server and has rows already ({table}): "
            "name an empty database of the cluster in KEEPER_DATABASE_URL"
        )


async def distribute(dsn: str) -> tuple[str, ...]:
    """Distribute those tables of a migrated database that are not yet; return their names. Writers are kept away.

    Raises:
        DistributionError: nothing was changed.
        DatabaseUnfit: it cannot be reached.
    """
    conn = await connect(dsn)
    try:
        with for_the_operator():
            await settle(conn)
            async with conn.transaction():
                await lock(conn, AdvisoryLock.MIGRATION)
                await require_cluster(conn)
                return await distribute_rest(conn)
    finally:
        await conn.close()


async def require_distributable(dsn: str, to_come: Collection[str] = ()) -> tuple[str, ...]:
    """Check that the database can be distributed, or is; return which of its tables are not yet. Changes nothing.

    `to_come` are tables that are yet to be made, of which those are returned too that are to be distributed.

    Raises DistributionError, DatabaseUnfit.
    """
    conn = await connect(dsn)
    try:
        with for_the_operator():
            async with conn.transaction(readonly=True):
                await require_cluster(conn)
                left = await _left(conn)
                if not await is_distributed(conn):
                    await _require_empty(conn, left)
                return *left, *(
                    table
                    for table, place in PLACES.items()
                    if place is not Place.COORDINATOR and table in to_come and table not in left
                )
    finally:
        await conn.close()


async def is_distributed(conn: Connection) -> bool:
    """Whether the patterns of this database are distributed."""
    if await conn.fetchval("SELECT to_regclass('pg_catalog.pg_dist_partition')") is None:
        return False
    return bool(
        await conn.fetchval(
            "SELECT EXISTS (SELECT 1 FROM pg_dist_partition WHERE logicalrelid = to_regclass('network_patterns'))"
        )
    )


async def parts_of(conn: Connection) -> Collection[str]:
    """The names of the parts that the distributed tables of this database consist of.

    The coordinator has those of tables that are on every node, and its catalog shows them beside the tables themselves.
    """
    if await conn.fetchval("SELECT to_regclass('pg_catalog.pg_dist_shard')") is None:
        return ()
    rows = await conn.fetch(
        "SELECT c.relname || '_' || s.shardid AS name FROM pg_dist_shard s JOIN pg_class c ON c.oid = s.logicalrelid"
    )
    return frozenset(row["name"] for row in rows)


async def sizes_on_all_nodes(conn: Connection) -> Mapping[str, int]:
    """The bytes of each distributed table with its indexes, summed over the nodes."""
    if await conn.fetchval("SELECT to_regclass('pg_catalog.pg_dist_partition')") is None:
        return {}
    rows = await conn.fetch(
        """
        SELECT c.relname AS name, citus_total_relation_size(p.logicalrelid) AS bytes
          FROM pg_dist_partition p JOIN pg_class c ON c.oid = p.logicalrelid
         WHERE c.relnamespace = current_schema()::regnamespace
        """
    )
    return {row["name"]: row["bytes"] for row in rows}


async def require_cluster(conn: Connection) -> None:
    """Raises ClusterMissing unless this is the coordinator's database of a cluster with workers."""
    if await conn.fetchval("SELECT to_regclass('pg_catalog.pg_dist_node')") is None:
        raise ClusterMissing("the extension citus is not in the database")
    nodes = await conn.fetchrow(
        """
        SELECT count(*) FILTER (WHERE groupid = 0) AS coordinators,
               count(*) FILTER (WHERE shouldhaveshards AND isactive) AS workers,
               (SELECT groupid FROM pg_dist_local_group) AS here
          FROM pg_dist_node WHERE noderole = 'primary'
        """
    )
    assert nodes is not None  # noqa: S101  (an aggregate without GROUP BY has one row)
    if nodes["here"] != 0:
        raise ClusterMissing("the database is a worker's")
    if not nodes["coordinators"]:
        raise ClusterMissing("the cluster does not know its coordinator")
    if not nodes["workers"]:
        raise ClusterMissing("the cluster has no worker")


async def distribute_rest(conn: Connection) -> tuple[str, ...]:
    """Distribute what is not yet, within the caller's transaction: the tables' names.

    A table must not refer to another while it is distributed, and a view that joins two of them would hold both back:
    keys and views go and come back.
    """
    left = await _left(conn)
    if left:
        if not await is_distributed(conn):
            await _require_empty(conn, left)
        await conn.execute(
            "SELECT count(set_config(name, value, true)) FROM unnest($1::text[], $2::text[]) AS s (name, value)",
            list(SESSIONS),
            list(SESSIONS.values()),
        )
        keys = await _drop_keys(conn, left)
        views = await _drop_views(conn)
        for table in left:
            await _place(conn, table)
        for key in keys:
            await conn.execute(key)
        # Views are read on the coordinator, which knows where their tables are.
        await conn.execute("SELECT set_config('citus.enable_ddl_propagation', 'off', true)")
        for view in views:
            await conn.execute(view)
    await conn.execute("SELECT set_config('citus.enable_ddl_propagation', 'on', true)")
    # It runs on a worker, for a pattern of its scope, and asks the worker that has the other pattern's.
    await conn.execute(
        "ALTER FUNCTION words_of(bigint, uuid) SET citus.allow_nested_distributed_execution = on"
    )
    await conn.execute("SELECT set_config('citus.enable_ddl_propagation', 'off', true)")
    await _plan_by_scope(conn)
    return left


async def _left(conn: Connection) -> tuple[str, ...]:
    rows = await conn.fetch(
        """
        SELECT name FROM unnest($1::text[]) WITH ORDINALITY AS wanted (name, place)
         WHERE to_regclass(name) IS NOT NULL
           AND NOT EXISTS (SELECT 1 FROM pg_dist_partition WHERE logicalrelid = to_regclass(name))
         ORDER BY place
        """,
        [*_TABLES[Place.EVERYWHERE], *_TABLES[Place.SCOPE]],
    )
    return tuple(row["name"] for row in rows)


async def _require_empty(conn: Connection, tables: Collection[str]) -> None:
    for table in tables:
        if await conn.fetchval(f"SELECT EXISTS (SELECT 1 FROM {table})"):  # noqa: S608 - a name of this file
            raise AlreadyFilled(table)


async def _place(conn: Connection, table: str) -> None:
    if PLACES[table] is Place.EVERYWHERE:
        await conn.execute("SELECT create_reference_table($1::text::regclass)", table)
        return
    first = _TABLES[Place.SCOPE][0]
    await conn.execute(
        "SELECT create_distributed_table($1::text::regclass, 'scope_id', colocate_with => $2)",
        table,
        "none" if table == first else first,
    )


async def _drop_keys(conn: Connection, tables: Collection[str]) -> list[str]:
    """Drop the foreign keys from and to these tables; return the statements that make those again that may be.

    A table of the coordinator keeps none to one that is elsewhere: whoever deletes rows deletes them there too.
    """
    keys = await conn.fetch(
        """
        SELECT k.conname AS name, k.conrelid::regclass::text AS from_table, k.confrelid::regclass::text AS to_table,
               pg_get_constraintdef(k.oid) AS definition
          FROM pg_constraint k
         WHERE k.contype = 'f' AND k.conparentid = 0
           AND (k.conrelid::regclass::text = ANY ($1::text[]) OR k.confrelid::regclass::text = ANY ($1::text[]))
        """,
        list(tables),
    )
    again = []
    for key in keys:
        await conn.execute(f"ALTER TABLE {key['from_table']} DROP CONSTRAINT {key['name']}")
        if Place.COORDINATOR not in (PLACES[key["from_table"]], PLACES[key["to_table"]]):
            again.append(
                f"ALTER TABLE {key['from_table']} ADD CONSTRAINT {key['name']} {key['definition']}"
            )
    return again


async def _drop_views(conn: Connection) -> list[str]:
    """Drop the schema's views; return the statements that make them again, in order."""
    views = await conn.fetch(
        """
        SELECT c.oid::regclass::text AS name, pg_get_viewdef(c.oid) AS definition
          FROM pg_class c
         WHERE c.relkind = 'v' AND c.relnamespace = current_schema()::regnamespace
           AND NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
         ORDER BY c.oid
        """
    )
    for view in reversed(views):
        await conn.execute(f"DROP VIEW {view['name']}")
    return [f"CREATE VIEW {view['name']} AS {view['definition']}" for view in views]


async def _plan_by_scope(conn: Connection) -> None:
    """Let the schema's functions decide for each statement whether its plan is kept.

    Which worker is asked depends on what a function is called with. Citus makes a plan that does not know it too dear to be
    chosen, so plans of tables that are not spread are kept, and no others.
    """
    functions = await conn.fetch(
        """
        SELECT p.oid::regprocedure::text AS name FROM pg_proc p
         WHERE p.pronamespace = current_schema()::regnamespace
           AND (p.proconfig @> '{plan_cache_mode=force_generic_plan}' OR p.proconfig @> '{plan_cache_mode=force_custom_plan}')
        """
    )
    for function in functions:
        await conn.execute(f"ALTER FUNCTION {function['name']} SET plan_cache_mode = auto")
    database = await conn.fetchval("SELECT quote_ident(current_database())")
    for name, value in SESSIONS.items():
        await conn.execute(f"ALTER DATABASE {database} SET {name} = '{value}'")

"""What a session of ours is set to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

SILENCE: Final = 6_000
"""Milliseconds after which a peer that acknowledges nothing is gone, for either side."""

_SETTINGS: Final[Mapping[str, str]] = {
    "timezone": "UTC",
    "idle_in_transaction_session_timeout": "30000",
    # A process whose host is gone must not keep the leader's lock: the server drops its
    # connection after six seconds. The default is the operating system's: two hours, and a quarter
    # of an hour while the server sends an answer, when no keepalive is sent.
    "tcp_keepalives_idle": "3",
    "tcp_keepalives_interval": "1",
    "tcp_keepalives_count": "3",
    "tcp_user_timeout": str(SILENCE),
    "jit": "off",
}


async def settle(connection: Any, statement_timeout: float | None = None) -> str:
    """Give a session our settings, and its search path the schema that pgvector is in: the name of that schema.

    By a statement, because poolers refuse settings that come with the login. `statement_timeout` is in seconds;
    without one only the search path is set, and without pgvector the name is empty.
    """
    settings = dict(_SETTINGS) if statement_timeout is not None else {}
    if statement_timeout is not None:
        # 0 would be none.
        settings["statement_timeout"] = str(max(1, int(statement_timeout * 1000)))
    schema = await connection.fetchval(
        """
        SELECT n.nspname,
               CASE WHEN n.nspname <> ALL (current_schemas(true)) THEN
                   set_config('search_path', concat_ws(', ', nullif(current_setting('search_path'), ''),
                                                       quote_ident(n.nspname)), false)
               END,
               (SELECT count(set_config(name, value, false))
                  FROM unnest($1::text[], $2::text[]) AS wanted (name, value)),
               -- Where tables are spread, which worker is asked depends on what a statement is called with.
               CASE WHEN cardinality($1::text[]) > 0 AND to_regclass('pg_catalog.pg_dist_partition') IS NOT NULL THEN
                   set_config('plan_cache_mode', 'force_custom_plan', false)
               END
          FROM (VALUES (1)) AS one (row)
          LEFT JOIN (pg_extension AS e JOIN pg_namespace AS n ON n.oid = e.extnamespace)
                 ON e.extname = 'vector'
        """,
        list(settings),
        list(settings.values()),
    )
    return schema or ""

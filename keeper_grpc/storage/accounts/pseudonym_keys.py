"""The pseudonym_keys table, and the key ids that accounts carry."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

from keeper_grpc.storage.accounts.key_agreement import KnownKeys, require_agreement
from keeper_grpc.storage.database import Connection, Database


class PostgresPseudonymKeys:
    """Check values of pseudonym keys, by key id."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def known(self) -> KnownKeys:
        """The keys that the database knows, in one snapshot."""
        async with self._database.transaction(read_only=True) as connection:
            return await _known(connection)

    async def record(
        self, held: Mapping[str, bytes], source_of: Callable[[str], str]
    ) -> tuple[Collection[str], KnownKeys]:
        """Add the check values of ids that are not known yet: these ids, and all that is known then.

        Raises PseudonymKeysUnfit, having added none, when the keys do not fit. Of two processes that
        record the same id at once, the second waits for the first and is held against its key.
        """
        async with self._database.transaction() as connection:
            added = [
                key_id
                # In one order, so that two processes with the same ids never wait for each other.
                for key_id, check_value in sorted(held.items())
                if await connection.fetchval(
                    """
                    INSERT INTO pseudonym_keys (key_id, check_value) VALUES ($1, $2)
                    ON CONFLICT (key_id) DO NOTHING RETURNING true
                    """,
                    key_id,
                    check_value,
                )
            ]
            known = await _known(connection)
            require_agreement(held, known, source_of)
        return added, known

    async def accounts_by_key(self) -> Mapping[str, int]:
        """How many accounts carry each key id."""
        async with self._database.connection() as connection:
            rows = await connection.fetch(
                """
                SELECT split_part(account_key, ':', 1) AS key_id, count(*) AS accounts
                  FROM accounts GROUP BY 1
                """
            )
        return {row["key_id"]: row["accounts"] for row in rows}


async def _known(connection: Connection) -> KnownKeys:
    rows = await connection.fetch("SELECT key_id, check_value FROM pseudonym_keys")
    carried = await connection.fetch(
        """
        SELECT DISTINCT split_part(key, ':', 1) AS key_id
          FROM (SELECT account_key FROM accounts
                UNION ALL SELECT declared_owner_key FROM accounts
                UNION ALL SELECT tombstone_key FROM account_tombstones WHERE expire_time > now())
               AS kept (key)
         WHERE key IS NOT NULL
        """
    )
    return KnownKeys(
        {row["key_id"]: row["check_value"] for row in rows},
        frozenset(row["key_id"] for row in carried),
    )

"""The lock under which a scope's patterns change."""

from __future__ import annotations

import hashlib

from keeper_grpc.domain.patterns.pattern import Scope
from keeper_grpc.storage.database import Connection


async def lock_scope(connection: Connection, scope: Scope) -> None:
    """Wait until no other transaction owns the scope, and own it until the end of this one."""
    name = f"{scope.pattern_type}\0{scope.business_category}\0{scope.embedding_model}"
    # Two scopes that share a key only wait for each other.
    key = int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), signed=True)
    await connection.execute("SELECT pg_advisory_xact_lock($1)", key)

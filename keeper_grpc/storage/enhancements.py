"""The enhancements table."""

from __future__ import annotations

import asyncpg

from keeper_grpc.domain.enhancement import EnhancementRecord
from keeper_grpc.domain.errors import AccountBeingForgotten, StorageUnavailable
from keeper_grpc.storage.database import Database
from keeper_grpc.storage.sightings import insert_sighting


class PostgresEnhancements:
    """Records of what the network advised."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def record_enhancement(self, record: EnhancementRecord) -> None:
        """Write the enhancement and its sighting in one transaction.

        Raises AccountBeingForgotten and StorageUnavailable.
        """
        try:
            await self._record(record)
        except asyncpg.ForeignKeyViolationError as error:
            if "account" in (error.constraint_name or ""):
                raise AccountBeingForgotten from error
            # The pattern was deleted since it was found, with the last account that supported it.
            raise StorageUnavailable("the pattern changed meanwhile; ask again") from error

    async def _record(self, record: EnhancementRecord) -> None:
        enhancement, advice = record.enhancement, record.enhancement.advice
        async with self._database.transaction() as connection:
            await connection.execute(
                """
                INSERT INTO enhancements (
                    id, account_key, pattern_id, no_match_reason, pattern_type, business_category,
                    embedding_model, similarity, base_confidence, confidence,
                    expected_success_rate, script, created_at)
                VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
                """,
                enhancement.enhancement_id,
                record.account_key,
                advice.candidate.pattern.pattern_id if advice else None,
                enhancement.no_match.name.lower() if enhancement.no_match else None,
                record.scope.pattern_type,
                record.scope.business_category,
                record.scope.embedding_model,
                advice.candidate.similarity if advice else 0.0,
                enhancement.insight.confidence,
                advice.confidence if advice else enhancement.insight.confidence,
                advice.candidate.pattern.evidence.success_rate if advice else 0.0,
                advice.proven_script if advice else "",
                record.created_at,
            )
            await insert_sighting(
                connection,
                account_key=record.account_key,
                insight=enhancement.insight,
                embedding_model=record.scope.embedding_model,
                embedding=record.vector,
                seen_time=record.created_at,
            )

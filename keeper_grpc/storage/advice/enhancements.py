"""The enhancements table."""

from __future__ import annotations

import asyncpg

from keeper_grpc.domain.advice.enhancement import EnhancementRecord
from keeper_grpc.domain.errors import AccountBeingForgotten, StorageUnavailable
from keeper_grpc.storage.database import Database
from keeper_grpc.storage.emerging.sightings import insert_sighting


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
        enhancement, asked = record.enhancement, record.asked
        advice = enhancement.advice or record.withheld_advice
        best = advice.best if advice else None
        async with self._database.transaction() as connection:
            await connection.execute(
                """
                INSERT INTO enhancements (
                    id, account_key, pattern_id, no_match_reason, pattern_type, business_category,
                    embedding_model, similarity, base_confidence, confidence,
                    expected_success_rate, transfer, script, script_propensity, holdout, context,
                    action, created_at, advised_category, expected_deviation)
                VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17,
                        $18, $19, $20)
                """,
                enhancement.enhancement_id,
                asked.account_key,
                best.candidate.pattern.pattern_id if best else None,
                enhancement.no_match.name.lower() if enhancement.no_match else None,
                asked.scope.pattern_type,
                asked.scope.business_category,
                asked.scope.embedding_model,
                best.candidate.similarity if best else 0.0,
                enhancement.insight.confidence,
                advice.confidence if advice else enhancement.insight.confidence,
                best.expected_success_rate if best else 0.0,
                best.candidate.transfer if best else 1.0,
                advice.script.template if advice else "",
                advice.script.propensity if advice and advice.script.template else None,
                record.withheld_advice is not None,
                enhancement.insight.conditions,
                enhancement.insight.action,
                enhancement.created_at,
                best.candidate.pattern.scope.business_category if best else None,
                best.deviation if best else 0.0,
            )
            await insert_sighting(
                connection,
                account_key=asked.account_key,
                insight=enhancement.insight,
                embedding_model=asked.scope.embedding_model,
                embedding=asked.vector,
                seen_time=record.seen_time,
            )

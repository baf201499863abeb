"""The enhancements table."""

from __future__ import annotations

import asyncpg

from keeper_grpc.domain.advice.enhancement import Advice, EnhancementRecord
from keeper_grpc.domain.errors import AccountBeingForgotten, PatternsMoved
from keeper_grpc.domain.patterns.pattern import PatternKey
from keeper_grpc.storage.database import Connection, Database
from keeper_grpc.storage.emerging.sightings import insert_sighting
from keeper_grpc.storage.insight_columns import ENHANCEMENTS
from keeper_grpc.storage.rows import insert_row


class PostgresEnhancements:
    """Records of what the network advised."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def record_enhancement(self, record: EnhancementRecord) -> None:
        """Write the enhancement and its sighting in one transaction.

        Raises AccountBeingForgotten, PatternsMoved and StorageUnavailable.
        """
        try:
            await self._record(record)
        except asyncpg.ForeignKeyViolationError as error:
            # Only the account's row can be gone.
            raise AccountBeingForgotten from error

    async def _record(self, record: EnhancementRecord) -> None:
        enhancement, asked = record.enhancement, record.asked
        advice = enhancement.advice or record.withheld_advice
        authored = enhancement.authored or record.withheld_authored
        best = advice.best if advice else None
        advised = best.candidate.pattern if best else authored.pattern if authored else None
        row = ENHANCEMENTS.values(enhancement.insight) | {
            "id": enhancement.enhancement_id,
            "scope_id": asked.scope.scope_id,
            "account_key": asked.account_key,
            "pattern_id": advised.pattern_id if advised else None,
            "advised_scope_id": advised.scope.scope_id if advised else None,
            "no_match_reason": enhancement.no_match.name.lower() if enhancement.no_match else None,
            "embedding_model": asked.scope.embedding_model,
            "similarity": best.candidate.similarity if best else 0.0,
            "confidence": advice.confidence if advice else enhancement.insight.confidence,
            "expected_success_rate": best.expected_success_rate if best else 0.0,
            "basis": best.expectation.basis.value if best else None,
            "expected_deviation": best.deviation if best else 0.0,
            "transfer": best.candidate.transfer if best else 1.0,
            "advised_category": best.candidate.pattern.scope.business_category if best else None,
            "script": advice.script.template if advice else "",
            "script_propensity": (
                advice.script.propensity if advice and advice.script.template else None
            ),
            **_exploration(advice),
            "holdout": record.withheld_advice is not None,
            "authored": _authored(record),
            "holdout_share": record.holdout_share,
            "created_at": enhancement.created_at,
        }
        if authored:
            row |= {
                "similarity": authored.similarity,
                "script": authored.script,
                "script_propensity": authored.script_propensity if authored.script else None,
            }
        async with self._database.transaction() as connection:
            if advised:
                await _keep(connection, advised.key)
            await insert_row(connection, "enhancements", row)
            await insert_sighting(
                connection,
                account_key=asked.account_key,
                insight=enhancement.insight,
                embedding_model=asked.scope.embedding_model,
                embedding=asked.vector,
                seen_time=record.seen_time,
            )


async def _keep(connection: Connection, key: PatternKey) -> None:
    """Keep the pattern from being deleted until the transaction ends: no foreign key leads to another scope.

    Raises PatternsMoved where it was deleted since it was found, with the last account that supported it, or merged
    into another.
    """
    if not await connection.fetchval(
        "SELECT true FROM network_patterns WHERE scope_id = $1 AND id = $2 FOR KEY SHARE", *key
    ):
        raise PatternsMoved


def _authored(record: EnhancementRecord) -> str | None:
    """What became of an author's advice, if there was any."""
    if record.withheld_authored is not None:
        return "withheld"
    return None if record.enhancement.authored is None else "given"


def _exploration(advice: Advice | None) -> dict[str, object]:
    """How the pattern was chosen, from what, and the success that is expected to be lost by choosing so."""
    if advice is None or advice.chosen is None:
        return {}
    chosen = advice.chosen
    return {
        "pattern_propensity": chosen.propensity,
        "contenders": {
            str(scored.candidate.pattern.pattern_id): [propensity, scored.expected_success_rate]
            for scored, propensity in chosen.contenders
        }
        or None,
        "exploration_loss": advice.exploration_loss,
    }

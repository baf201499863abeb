"""The enhancements table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from keeper_grpc.domain.advice.enhancement import Advice, EnhancementRecord
from keeper_grpc.domain.errors import AccountBeingForgotten, KeeperError, PatternsMoved
from keeper_grpc.domain.patterns.group import Seen
from keeper_grpc.domain.patterns.pattern import PatternKey
from keeper_grpc.storage.database import Connection, Database
from keeper_grpc.storage.emerging.sightings import write_sightings
from keeper_grpc.storage.insight_columns import ENHANCEMENTS
from keeper_grpc.storage.metrics.measuring import measure_questions
from keeper_grpc.storage.patterns.keys import by_column, key_of
from keeper_grpc.storage.rows import insert_rows

_TYPES = ENHANCEMENTS.types | {
    "id": "uuid",
    "scope_id": "bigint",
    "account_key": "text",
    "pattern_id": "uuid",
    "advised_scope_id": "bigint",
    "no_match_reason": "text",
    "embedding_model": "text",
    "similarity": "float8",
    "confidence": "float8",
    "expected_success_rate": "float8",
    "basis": "text",
    "expected_deviation": "float8",
    "transfer": "float8",
    "advised_category": "text",
    "script": "text",
    "script_propensity": "float8",
    "pattern_propensity": "float8",
    "contenders": "jsonb",
    "exploration_loss": "float8",
    "holdout": "boolean",
    "authored": "text",
    "holdout_share": "float8",
    "measured": "boolean",
    "created_at": "timestamptz",
}


class PostgresEnhancements:
    """Records of what the network advised; see usecases/advice/enhancement_writer.py for what is promised."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def record_enhancements(
        self, records: Sequence[EnhancementRecord]
    ) -> Sequence[KeeperError | None]:
        rows = [_row(record) for record in records]
        async with self._database.transaction() as connection:
            errors = await _objections(connection, rows)
            written = [n for n, error in enumerate(errors) if error is None]
            await insert_rows(connection, "enhancements", _TYPES, [rows[n] for n in written])
            await measure_questions(
                connection, [records[n].enhancement.enhancement_id for n in written]
            )
            await write_sightings(
                connection,
                [
                    Seen(
                        records[n].asked.account_key,
                        records[n].enhancement.insight,
                        records[n].asked.scope.embedding_model,
                        records[n].asked.vector,
                        records[n].seen_time,
                    )
                    for n in written
                ],
            )
        return errors


async def _objections(
    connection: Connection, rows: Sequence[dict[str, Any]]
) -> list[KeeperError | None]:
    """Why a record cannot be written; and whether it is `measured`, because its account counts. What the others refer to is kept until the transaction ends."""
    models = await connection.fetch(
        """
        SELECT model FROM unnest($1::text[]) AS asked (model) WHERE NOT may_search(model)
        """,
        list({row["embedding_model"] for row in rows}),
    )
    accounts = await connection.fetch(
        """
        SELECT account_key, CASE WHEN qualified THEN business_category END AS counts_in
          FROM accounts WHERE account_key = ANY($1::text[])
         ORDER BY account_key FOR KEY SHARE
        """,
        list({row["account_key"] for row in rows}),
    )
    named = {key for row in rows if (key := _advised(row)) is not None}
    patterns = (
        await connection.fetch(
            """
            SELECT scope_id, id FROM network_patterns
             WHERE scope_id = ANY($1::bigint[]) AND id = ANY($2::uuid[])
             ORDER BY id FOR KEY SHARE
            """,
            *by_column(named),
        )
        if named
        else []
    )
    replaced = {row["model"] for row in models}
    known = {row["account_key"]: row["counts_in"] for row in accounts}
    gone = named - {key_of(row) for row in patterns}

    def objection(row: Mapping[str, Any]) -> KeeperError | None:
        if row["account_key"] not in known:
            return AccountBeingForgotten()
        if row["embedding_model"] in replaced or _advised(row) in gone:
            # A pattern was deleted since it was found, with the last account that supported it, or merged
            # into another.
            return PatternsMoved()
        return None

    for row in rows:
        row["measured"] = known.get(row["account_key"]) == row["business_category"]
    return [objection(row) for row in rows]


def _row(record: EnhancementRecord) -> dict[str, Any]:
    enhancement, asked = record.enhancement, record.asked
    advice = enhancement.advice or record.withheld_advice
    authored = enhancement.authored or record.withheld_authored
    best = advice.best if advice else None
    advised = best.candidate.pattern if best else authored.pattern if authored else None
    row: dict[str, Any] = ENHANCEMENTS.values(enhancement.insight) | {
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
    return row


def _advised(row: Mapping[str, Any]) -> PatternKey | None:
    """The pattern that the row names."""
    if row["pattern_id"] is None:
        return None
    return PatternKey(row["advised_scope_id"], row["pattern_id"])


def _authored(record: EnhancementRecord) -> str | None:
    """What became of an author's advice, if there was any."""
    if record.withheld_authored is not None:
        return "withheld"
    return None if record.enhancement.authored is None else "given"


def _exploration(advice: Advice | None) -> dict[str, object]:
    """How the pattern was chosen, from what, and the success that is expected to be lost by choosing so."""
    if advice is None or advice.chosen is None:
        return {"exploration_loss": 0.0}
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

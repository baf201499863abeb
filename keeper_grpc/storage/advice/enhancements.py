"""The enhancements table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from keeper_grpc.domain.advice.enhancement import Advice, EnhancementRecord
from keeper_grpc.domain.errors import AccountBeingForgotten, KeeperError, PatternsMoved
from keeper_grpc.domain.patterns.group import Seen
from keeper_grpc.storage.database import Database
from keeper_grpc.storage.emerging.sightings import SightingArrays, sighting_arrays
from keeper_grpc.storage.insight_columns import ENHANCEMENTS

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
    "created_at": "timestamptz",
}


_RECORDED = ", ".join(
    f"new_{column} => ${n}::{kind}[]" for n, (column, kind) in enumerate(_TYPES.items(), 1)
)
_SEEN = ", ".join(
    f"seen_{column} => ${n}::{kind}[]"
    for n, (column, kind) in enumerate(
        {"place": "integer", **SightingArrays.types}.items(), len(_TYPES) + 1
    )
)

_OBJECTIONS: Mapping[str, type[KeeperError]] = {
    "forgotten": AccountBeingForgotten,
    # The pattern was deleted since it was found, with the last account that supported it, or merged into another; or
    # the database has moved to another model.
    "moved": PatternsMoved,
}


class PostgresEnhancements:
    """Records of what the network advised; see usecases/advice/enhancement_writer.py for what is promised."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def record_enhancements(
        self, records: Sequence[EnhancementRecord]
    ) -> Sequence[KeeperError | None]:
        rows = [_row(record) for record in records]
        # By the place of the question; one without a vector is no sighting.
        sighted = {
            place: Seen(
                record.account_key,
                record.enhancement.insight,
                record.scope.embedding_model,
                record.vector,
                record.seen_time,
            )
            for place, record in enumerate(records)
            if record.vector is not None
        }
        seen, questions = sighting_arrays(list(sighted.values())), list(sighted)
        # One statement is a transaction of its own, and one round trip.
        async with self._database.connection() as connection:
            objections = await connection.fetchval(
                f"SELECT record_questions({_RECORDED}, {_SEEN})",
                *([row.get(column) for row in rows] for column in _TYPES),
                [questions[place] + 1 for place in seen.places],
                *seen.columns.values(),
            )
        return [None if each is None else _OBJECTIONS[each]() for each in objections]


def _row(record: EnhancementRecord) -> dict[str, Any]:
    enhancement = record.enhancement
    advice = enhancement.advice or record.withheld_advice
    authored = enhancement.authored or record.withheld_authored
    best = advice.best if advice else None
    advised = best.candidate.pattern if best else authored.pattern if authored else None
    row: dict[str, Any] = ENHANCEMENTS.values(enhancement.insight) | {
        "id": enhancement.enhancement_id,
        "scope_id": record.scope.scope_id,
        "account_key": record.account_key,
        "pattern_id": advised.pattern_id if advised else None,
        "advised_scope_id": advised.scope.scope_id if advised else None,
        "no_match_reason": enhancement.no_match.name.lower() if enhancement.no_match else None,
        "embedding_model": record.scope.embedding_model,
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

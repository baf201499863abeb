"""An observation as a row of a file: the columns, and which rows may be archived. One that answers a question has it with it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Row = Mapping[str, Any]
"""One observation by column, with its account's subject in place of the account, and its question."""

COLUMNS: Mapping[str, str] = {
    "id": "uuid",
    "scope_id": "bigint",
    "subject": "uuid",
    "disposition": "text",
    "pattern_id": "uuid",
    "similarity": "float8",
    "pattern_type": "text",
    "business_category": "text",
    "embedding_model": "text",
    "context": "jsonb",
    "action": "text",
    "script": "text",
    "confidence": "float8",
    "dollar_value": "float8",
    "potential_value": "float8",
    "anonymization": "jsonb",
    "success": "boolean",
    "revenue_impact": "float8",
    "cost": "float8",
    "customer_retained": "boolean",
    "response_rate": "float8",
    "complained": "boolean",
    "unsubscribed": "boolean",
    "measured_day": "date",
    "occurred_time": "timestamptz",
    "recorded_time": "timestamptz",
    "enhancement_id": "uuid",
    "instead_of": "uuid",
    "compared": "boolean",
    "question": "jsonb",
}
"""The columns of a file, with their types in the database."""

QUESTION = "question"
"""The column that is none of observations: keeper_grpc/storage/archives/questions.py."""

STORED: Mapping[str, str] = {
    column: kind for column, kind in COLUMNS.items() if column not in ("subject", QUESTION)
}
"""Those of them that observations have."""

IMPLIED: Mapping[str, object] = {
    "final": True,
    "counted": True,
}
"""The other columns of observations, which are the same in all that may be archived; net_revenue is computed."""

SETTLED = """
    o.final AND o.counted AND o.compared IS DISTINCT FROM false
    AND o.measured_day IS NOT NULL AND a.qualified AND NOT a.forgetting
    AND a.business_category = o.business_category
    AND (o.occurred_time AT TIME ZONE 'UTC')::date <> (a.joined_time AT TIME ZONE 'UTC')::date
"""
"""Which observations `o` of accounts `a` nothing changes any more but what becomes of their account.

Counted everywhere, also in the holdout experiment. What an account did on the day that it joined
stays, because its first success is counted from a moment of that day, and the rest is kept by day.
"""

ASKED_FOR = "SELECT account_key, scope_id, observation_id FROM outcome_requests"
"""Observations whose requests are still known. Read apart: it is not spread with the observations."""

NOT_ASKED_FOR = """
    NOT EXISTS (SELECT 1 FROM asked_for r
                 WHERE r.account_key = o.account_key AND r.scope_id = o.scope_id AND r.observation_id = o.id)
"""
"""A retry of its request is no longer recognized, and so it cannot be revised either. `asked_for` is ASKED_FOR."""

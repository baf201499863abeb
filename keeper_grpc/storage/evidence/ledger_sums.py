"""A pattern's observations summed up: what its rows of shares, harms, scripts and wordings should say."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from keeper_grpc.domain.evidence.evidence import recency_weight
from keeper_grpc.domain.evidence.fading import FAST, SLOW
from keeper_grpc.domain.evidence.guardrails import HARM_HALF_LIFE, OwnHarms
from keeper_grpc.domain.patterns.pattern import PatternKey
from keeper_grpc.domain.patterns.situation import facets
from keeper_grpc.storage.database import Connection
from keeper_grpc.storage.patterns.words import MOST_WORDINGS

if TYPE_CHECKING:
    from asyncpg import Record


@dataclass(slots=True)
class AccountShare:
    """One account's share of something, as it is summed up."""

    trials: int = 0
    successes: int = 0
    revenue_total: float = 0.0
    revenue_count: int = 0
    recent_trials: float = 0.0
    recent_successes: float = 0.0
    fast_trials: float = 0.0
    fast_successes: float = 0.0
    slow_trials: float = 0.0
    slow_successes: float = 0.0
    drawn_trials: int = 0
    drawn_weight: float = 0.0
    drawn_squares: float = 0.0
    drawn_excess: float = 0.0


@dataclass(slots=True)
class LedgerSums:
    """What a pattern's observations come to; shares by account, by facet and by script."""

    observations: int = 0
    first: datetime | None = None
    last: datetime | None = None
    harms: dict[str, OwnHarms] = field(default_factory=lambda: defaultdict(OwnHarms))
    accounts: dict[str, AccountShare] = field(default_factory=lambda: defaultdict(AccountShare))
    facets: dict[tuple[str, str], AccountShare] = field(
        default_factory=lambda: defaultdict(AccountShare)
    )
    scripts: dict[tuple[str, str], AccountShare] = field(
        default_factory=lambda: defaultdict(AccountShare)
    )
    wordings: dict[str, dict[str, None]] = field(default_factory=lambda: defaultdict(dict))

    def add(self, row: Record, half_life: timedelta) -> None:
        """Count one observation: what storage/patterns/ledger.py does to the tables."""
        account, occurred, success = row["account_key"], row["occurred_time"], row["success"]
        self.observations += 1
        self.first = min(self.first or occurred, occurred)
        self.last = max(self.last or occurred, occurred)
        own = self.accounts[account]
        counted = [own]
        counted += [self.facets[facet, account] for facet in facets(row["context"])]
        if row["script"]:
            counted.append(script := self.scripts[row["script"], account])
            if (inverse := row["inverse"]) is not None:
                script.drawn_trials += 1
                script.drawn_weight += inverse
                script.drawn_squares += inverse**2
                script.drawn_excess += inverse * (success - row["expected"])
        wordings = self.wordings[account]
        if row["disposition"] != "reported" and len(wordings) < MOST_WORDINGS:
            wordings[row["action"]] = None
        weight = recency_weight(occurred, half_life)
        for share in counted:
            share.trials += 1
            share.successes += success
            share.recent_trials += weight
            share.recent_successes += weight * success
        fast, slow = recency_weight(occurred, FAST), recency_weight(occurred, SLOW)
        own.fast_trials += fast
        own.fast_successes += fast * success
        own.slow_trials += slow
        own.slow_successes += slow * success
        if row["complained"] is not None or row["unsubscribed"] is not None or row["costed"]:
            self.harms[account] = self.harms[account].after(
                row["complained"],
                row["unsubscribed"],
                row["net_revenue"] if row["costed"] else None,
                recency_weight(occurred, HARM_HALF_LIFE),
            )
        if row["net_revenue"] is not None:
            own.revenue_total += row["net_revenue"]
            own.revenue_count += 1


async def sum_ledger(
    connection: Connection, key: PatternKey, half_life: timedelta, account_key: str | None = None
) -> LedgerSums:
    """Sum up the ledger of all accounts or of one, row by row: only the sums are held.

    What an account observed in a category that it is no longer in does not count, nor what waits for a step.
    """
    sums = LedgerSums()
    async for row in connection.cursor(
        """
        SELECT o.account_key, o.disposition, o.context, o.action, o.script, o.success, o.net_revenue, o.occurred_time,
               o.complained, o.unsubscribed,
               o.cost IS NOT NULL AND o.net_revenue IS NOT NULL AS costed,
               d.inverse, d.expected
          FROM observations o JOIN accounts a USING (account_key, business_category)
          LEFT JOIN drawn_scripts d USING (scope_id, enhancement_id)
         WHERE o.scope_id = $1 AND o.pattern_id = $2 AND o.counted
           AND ($3::text IS NULL OR o.account_key = $3)
         ORDER BY o.recorded_time, o.id
        """,
        *key,
        account_key,
        prefetch=1000,
    ):
        sums.add(row, half_life)
    return sums

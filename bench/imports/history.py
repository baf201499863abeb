"""An invented history: 200 accounts in three lines of business, some thousands of situations, no two rows alike."""

from __future__ import annotations

import csv
import random
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

from bench.calls.network import action
from keeper_grpc.gen.keeper.network.v1.insight_pb2 import Insight, Outcome
from keeper_grpc.gen.keeper.network.v1.network_service_pb2 import CapturePatternRequest

ACCOUNTS = 200
CATEGORIES = ("spa", "salon", "gym")
ACTIONS = 60
SUCCESS = 0.6
DAYS = 200
MAPPING = """\
name: bench-imports
account_id: "bench-{account}"
type: churn_prevention
business_category: "{category}"
action: "{action}"
confidence: 0.5
dollar_value: value
conditions:
  days_since_visit: {column: days, bands: [14, 30, 60, 90]}
  visit_count: {column: visits, bands: [5, 20, 60]}
  membership_tier: tier
outcome:
  success: {column: success, equals: "1", fails: ["0"]}
  revenue_impact: revenue
occurred_time: {column: days_ago, days_before: 2026-06-30}
"""
"""It names no row_id: rows are told apart by their digests on disk, which is the harder way."""

_COLUMNS = (
    *("number", "account", "category", "action", "days", "visits"),
    *("tier", "value", "success", "revenue", "days_ago"),
)
_TIERS = ("standard", "premium", "platinum", "none")


def write_history(path: Path, rows: int) -> None:
    """The history, the same every time."""
    luck = random.Random(1)  # noqa: S311 - nothing is kept secret by it
    with path.open("w", encoding="utf-8", newline="") as file:
        sheet = csv.writer(file)
        sheet.writerow(_COLUMNS)
        for number in range(rows):
            account = luck.randrange(ACCOUNTS)
            success = luck.random() < SUCCESS
            sheet.writerow(
                (
                    *(number, account, CATEGORIES[account % len(CATEGORIES)]),
                    *(action(luck.randrange(ACTIONS)), luck.randrange(200), luck.randrange(120)),
                    *(luck.choice(_TIERS), luck.randrange(20, 900), int(success)),
                    *(luck.randrange(30, 200) if success else 0, DAYS - number * DAYS // rows),
                )
            )


def captures(seed: int) -> Iterator[CapturePatternRequest]:
    """Captures as the history's rows make them, under request ids of their own; without end."""
    luck = random.Random(seed)  # noqa: S311 - nothing is kept secret by it
    while True:
        account = luck.randrange(ACCOUNTS)
        insight = Insight(
            type="churn_prevention",
            business_category=CATEGORIES[account % len(CATEGORIES)],
            action=action(luck.randrange(ACTIONS)),
            confidence=0.5,
            dollar_value=luck.randrange(20, 900),
        )
        insight.conditions.update(
            {
                "days_since_visit": luck.choice(
                    (
                        "under 14",
                        "14 to under 30",
                        "30 to under 60",
                        "60 to under 90",
                        "90 and over",
                    )
                ),
                "visit_count": luck.choice(
                    ("under 5", "5 to under 20", "20 to under 60", "60 and over")
                ),
                "membership_tier": luck.choice(_TIERS),
            }
        )
        yield CapturePatternRequest(
            request_id=str(uuid4()),
            account_id=f"bench-{account}",
            insight=insight,
            outcome=Outcome(success=luck.random() < SUCCESS, revenue_impact=90.0),
        )

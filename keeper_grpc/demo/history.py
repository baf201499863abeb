"""The sample data of examples/, as requests."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

from google.protobuf.json_format import ParseDict

from keeper_grpc.demo.failure import DemoFailed
from keeper_grpc.gen.keeper.network.v1.network_service_pb2 import (
    CapturePatternRequest,
    EnhanceInsightRequest,
)

LIVE_TYPE = "service_demand"
"""The emerging topic of examples/README.md: held back from the replay and played live."""

_LIVE_CONDITIONS = {"time_of_day": "evening", "service": "Magnesium Soak"}
"""The account of the additional sighting that examples/README.md adds to that topic."""

Identifiers = Mapping[str, Sequence[str]]
"""Field of the API's Identifiers to the values declared in it."""


@dataclass(frozen=True, slots=True)
class Row:
    """One line of history.jsonl; examples/README.md describes its fields."""

    fields: Mapping[str, Any]

    @property
    def account_id(self) -> str:
        """The account that acted."""
        return str(self.fields["account_id"])

    @property
    def scope(self) -> tuple[str, str]:
        """(business category, insight type)."""
        insight = self.fields["insight"]
        return insight["business_category"], insight["type"]

    @property
    def identifiers(self) -> Identifiers:
        """The identifiers that the row declares; empty if it names nobody."""
        identifiers: Identifiers = self.fields["identifiers"]
        return identifiers

    @property
    def days_ago(self) -> float:
        """When it happened, in days before now."""
        return float(self.fields["days_ago"])

    @property
    def text(self) -> str:
        """All texts of the row."""
        return json.dumps(self.fields["insight"], ensure_ascii=False)

    def request(self, now: datetime) -> CapturePatternRequest:
        """The capture, as if sent at `now`. Equal for equal `now`, so that sending it twice counts once."""
        named = ("request_id", "account_id", "insight", "outcome", "identifiers")
        request = ParseDict({name: self.fields[name] for name in named}, CapturePatternRequest())
        request.occurred_time.FromDatetime(now - timedelta(days=self.days_ago))
        return request


@dataclass(frozen=True, slots=True)
class Newcomer:
    """An account that has never captured anything, and its insight."""

    account_id: str
    category: str
    identifiers: Identifiers
    without_action: EnhanceInsightRequest
    with_action: EnhanceInsightRequest


@dataclass(frozen=True, slots=True)
class Examples:
    """All sample data. `live` are the rows of the emerging topic, `replayed` the others."""

    replayed: Sequence[Row]
    live: Sequence[Row]
    newcomer: Newcomer
    _live_action: str

    @property
    def rows(self) -> Sequence[Row]:
        """All rows."""
        return [*self.replayed, *self.live]

    @property
    def accounts(self) -> Mapping[str, str]:
        """Business category by account."""
        return {row.account_id: row.scope[0] for row in self.rows}

    def last_sighting(self, now: datetime) -> CapturePatternRequest:
        """An additional capture of the emerging topic, by an account that has not captured it yet."""
        category = self.live[0].scope[0]
        met = {row.account_id for row in self.live}
        account = next(a for a, c in self.accounts.items() if c == category and a not in met)
        sighting = {
            "request_id": str(uuid4()),
            "account_id": account,
            "insight": {
                "type": LIVE_TYPE,
                "business_category": category,
                "conditions": _LIVE_CONDITIONS,
                "action": self._live_action,
                "confidence": 0.7,
            },
            "outcome": {"success": True},
        }
        request = ParseDict(sighting, CapturePatternRequest())
        request.occurred_time.FromDatetime(now)
        return request


def sample_data() -> Path:
    """The directory of the sample data: in the package where that is installed, else the checkout's."""
    packaged = Path(__file__).with_name("examples")
    return packaged if packaged.is_dir() else Path(__file__).parents[2] / "examples"


def load(directory: Path) -> Examples:
    """Read the sample data. Raises DemoFailed."""
    try:
        with (directory / "history.jsonl").open(encoding="utf-8") as lines:
            rows = [Row(json.loads(line)) for line in lines]
        newcomer = json.loads((directory / "newcomer.json").read_text(encoding="utf-8"))
        readme = (directory / "README.md").read_text(encoding="utf-8")
    except OSError as error:
        raise DemoFailed(f"cannot read the sample data: {error}; see --examples") from error
    return Examples(
        replayed=[row for row in rows if row.scope[1] != LIVE_TYPE],
        live=[row for row in rows if row.scope[1] == LIVE_TYPE],
        newcomer=_newcomer(newcomer),
        _live_action=_quoted(readme.splitlines()),
    )


def _newcomer(fields: Mapping[str, Any]) -> Newcomer:
    def question(name: str) -> EnhanceInsightRequest:
        asked = {"account_id": fields["account_id"], "insight": fields[name]}
        return ParseDict(asked | {"identifiers": fields["identifiers"]}, EnhanceInsightRequest())

    return Newcomer(
        account_id=fields["account_id"],
        category=fields["without_action"]["business_category"],
        identifiers=fields["identifiers"],
        without_action=question("without_action"),
        with_action=question("with_action"),
    )


def _quoted(lines: Iterable[str]) -> str:
    for line in lines:
        if line.startswith("> "):
            return line.removeprefix("> ").strip()
    raise DemoFailed("examples/README.md holds no sighting (a line that starts with '> ')")

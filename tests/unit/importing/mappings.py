"""Mappings that a test writes."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from uuid import uuid4

import yaml
from google.protobuf.json_format import MessageToDict

from keeper_grpc.importing.build import build
from keeper_grpc.importing.mapping.mapping import Mapping

LEAST: dict[str, Any] = {
    "name": "test",
    "account_id": "spa-{site}",
    "type": "churn_prevention",
    "action": "Send a reminder",
    "confidence": 0.5,
    "outcome": {"success": {"column": "won", "equals": "yes"}},
}
"""The least that a mapping says."""

ROW = {"site": "north", "won": "yes", "days": "60", "member": "Y", "spent": "120.50", "when": ""}


def mapping(tmp_path: Path, **entries: Any) -> Mapping:
    """LEAST with these entries, from a file."""
    file = tmp_path / "map.yaml"
    file.write_text(yaml.safe_dump(LEAST | entries))
    return Mapping.load(file)


def request(chosen: Mapping, **cells: str) -> dict[str, Any]:
    """What ROW, with these cells, becomes."""
    return MessageToDict(build(chosen, ROW | cells, uuid4()), preserving_proto_field_name=True)

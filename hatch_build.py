"""Puts the demo's sample data into the wheel, under the package that plays them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

SAMPLE_DATA = ("README.md", "history.jsonl", "newcomer.json")


class SampleDataHook(BuildHookInterface):  # type: ignore[type-arg]  # hatchling's own configuration
    """An editable install reads them in the checkout."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Add them to what is built."""
        if version == "editable":
            return
        examples = Path(self.root) / "examples"
        for name in SAMPLE_DATA:
            build_data["force_include"][str(examples / name)] = f"keeper_grpc/demo/examples/{name}"

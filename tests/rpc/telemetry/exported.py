"""What a server exports to Prometheus, read as Prometheus reads it."""

from __future__ import annotations

import asyncio
import re
import urllib.request
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

PAGE = Path(__file__).parents[3] / "docs" / "operations.md"


@dataclass(frozen=True)
class Exported:
    """One scrape: the families with their types, and each series with its labels and value."""

    text: str
    types: dict[str, str] = field(default_factory=dict)
    series: dict[str, list[tuple[dict[str, str], float]]] = field(
        default_factory=lambda: defaultdict(list)
    )

    @classmethod
    async def scrape(cls, port: int) -> Exported:
        """Read a server's endpoint."""
        return cls.read(await asyncio.to_thread(_get, f"http://127.0.0.1:{port}/metrics"))

    @classmethod
    def read(cls, text: str) -> Exported:
        """Read what an endpoint answered."""
        exported = cls(text)
        for family in text_string_to_metric_families(text):
            name = f"{family.name}_total" if family.type == "counter" else family.name
            exported.types[name] = family.type
            for sample in family.samples:
                exported.series[sample.name].append((sample.labels, sample.value))
        return exported

    def labels(self, name: str) -> set[str]:
        """The label names of a series."""
        return {label for labels, _ in self.series[name] for label in labels}

    def value(self, name: str, **labels: str) -> float:
        """The sum of the series with these labels."""
        return sum(v for found, v in self.series[name] if labels.items() <= found.items())


def _get(url: str) -> str:
    with urllib.request.urlopen(url) as answer:  # noqa: S310 - a server of ours
        text: str = answer.read().decode()
        return text


def documented() -> dict[str, tuple[str, set[str]]]:
    """The table of docs/operations.md: type and labels of each metric."""
    section = PAGE.read_text().partition("<!-- metrics: ")[2].partition("<!-- /metrics -->")[0]
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in section.splitlines()
        if line.startswith("| `")
    ]
    return {
        name.strip("`"): (kind, set(re.findall(r"`(\w+)`", labels)))
        for name, kind, labels, _ in rows
    }

"""Counts of an import's rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from typing import Any, Self

from keeper_grpc.gen.keeper.network.v1.network_service_pb2 import CapturePatternResponse
from keeper_grpc.importing.failure import Reason


@dataclass(slots=True)
class Tally:
    """Counts of rows. `captured` is by disposition, `reasons` by "field CODE": a row may have several.

    `masked` and `dropped` count the server's anonymization of newly captured rows. `advice` is the
    description of each of the reasons, of the first row that has it.
    """

    rows: int = 0
    skipped: int = 0
    replayed: int = 0
    rejected: int = 0
    retries: int = 0
    captured: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    masked: Counter[str] = field(default_factory=Counter)
    dropped: Counter[str] = field(default_factory=Counter)
    advice: dict[str, str] = field(default_factory=dict)

    def answer(self, response: CapturePatternResponse) -> None:
        """Count a captured row."""
        if response.replayed:
            self.replayed += 1
            return
        name = CapturePatternResponse.Disposition.Name(response.disposition)
        self.captured[name.removeprefix("DISPOSITION_").lower()] += 1
        self.masked.update(response.anonymization.masked)
        self.dropped.update(
            f"{drop.field} {drop.reason}" for drop in response.anonymization.dropped
        )

    def reject(self, reasons: Iterable[Reason]) -> None:
        """Count a row that is not captured."""
        self.rejected += 1
        for reason in reasons:
            name = f"{reason.field} {reason.code}"
            self.reasons[name] += 1
            self.advice.setdefault(name, reason.description)

    def as_dict(self) -> dict[str, Any]:
        """For the state file."""
        counts = {each.name: getattr(self, each.name) for each in fields(self)}
        # A Counter's own keys are texts; json knows dicts.
        return {name: dict(n) if isinstance(n, Counter) else n for name, n in counts.items()}

    @classmethod
    def from_dict(cls, saved: dict[str, Any]) -> Self:
        """From the state file."""
        loaded: dict[str, Any] = {
            key: Counter(value) if isinstance(value, dict) and key != "advice" else value
            for key, value in saved.items()
        }
        return cls(**loaded)

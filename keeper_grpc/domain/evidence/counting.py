"""What stored evidence is counted with: under another setting it would be added to what does not fit."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from keeper_grpc.domain.evidence.publication import PublicationRule
from keeper_grpc.domain.evidence.steps import EXACT


@dataclass(frozen=True, slots=True)
class Counting:
    """`rule` caps what one owner weighs; outcomes of one `half_life` ago weigh half in expectations.

    An account's outcomes begin to count so many (`step`) at a time; see domain/evidence/steps.py. Another step fits
    what was counted before.
    """

    rule: PublicationRule
    half_life: timedelta
    step: int = EXACT

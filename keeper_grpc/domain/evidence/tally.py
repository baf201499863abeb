"""Counting a group of observations in arrival order, as if each were counted by itself.

An account's outcomes of a pattern wait until a step is full (domain/evidence/steps.py), and count together then.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TypeAlias
from uuid import UUID

from keeper_grpc.domain.evidence.steps import EXACT, due
from keeper_grpc.domain.evidence.sums import Counted, PatternSums

Part: TypeAlias = tuple[UUID, str]
"""A pattern and an account: whose share of it."""


@dataclass(slots=True)
class Share:
    """What is known of one account's part in one pattern.

    `counted` outcomes are in its share. Those that wait are by the id of their observation, the oldest first.
    `actions` are the wordings that are kept of it. What it observes in a category that is no longer its own
    (`belongs` is false) is written, and counts for nobody.
    """

    counted: int = 0
    waiting: dict[UUID, Counted] = field(default_factory=dict)
    actions: set[str] = field(default_factory=set)
    belongs: bool = True


class Tally:
    """The counts that a group of observations adds, by pattern."""

    def __init__(self, shares: Mapping[Part, Share], step: int, half_life: timedelta) -> None:
        self._shares = defaultdict(Share, shares)
        self._step = step
        self._half_life = half_life
        self.sums: dict[UUID, PatternSums] = defaultdict(PatternSums)
        self.begun: set[UUID] = set()
        """Observations that waited when they were taken, and count by now."""

    def take(self, observation_id: UUID, pattern_id: UUID, one: Counted) -> None:
        """Take one observation of the group, in its turn.

        Where outcomes count in steps, an interim one waits for the one that takes its place, and keeps none that
        waits company: the change from one to the other would tell both.
        """
        if not one.final and self._step != EXACT:
            return
        self._shares[pattern_id, one.account_key].waiting[observation_id] = one
        self.settle(pattern_id, one.account_key)

    def settle(self, pattern_id: UUID, account_key: str) -> None:
        """Count what waits of an account's part in a pattern, if it is a step."""
        share = self._shares[pattern_id, account_key]
        if not share.waiting or not due(share.counted + len(share.waiting), self._step):
            return
        sums = self.sums[pattern_id]
        for each in share.waiting.values():
            if share.belongs:
                sums.add(each, self._half_life, share.actions)
                share.counted += 1
            else:
                sums.span(each.occurred_time)
        self.begun.update(share.waiting)
        share.waiting.clear()

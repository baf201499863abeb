"""Which cosine similarity means what. The numbers belong to an embedding model and a rendering."""

from __future__ import annotations

from dataclasses import dataclass

from keeper_grpc.domain.patterns.merging.agreement import Agreement


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Cosines at or above which texts say the same, the same kind of thing, anything at all.

    They are calibrated by `bench/thresholds.py` and `bench/merges.py`.
    merge: two sentences say the same, whatever their actions alone.
    sentence: the same, of insights whose actions say the same; None is `merge`.
    action: so do their actions alone, when their words neither speak for it nor against it.
    action_unlike: the same, when the two name different things. action_shared: when they share several.
    action_terse: when one is a note of the other. 1.0 leaves out what a model is not calibrated for.
    action_routine: actions that several accounts now take are those of a known pattern. action_variation: they are a
    variation of one; below it something else. None are `action` and `retrieval` (bench/novelty.py).
    cluster: two sightings belong to one emerging pattern.
    retrieval: below it, a pattern says nothing about an insight.
    """

    merge: float
    cluster: float
    retrieval: float
    sentence: float | None = None
    action: float = 0.8
    action_unlike: float = 0.8
    action_shared: float = 0.8
    action_terse: float = 1.0
    action_routine: float | None = None
    action_variation: float | None = None

    def same(self, sentence: float, action: float, agreement: Agreement) -> bool:
        """Whether two insights may merge, by cosines of sentences and actions, and by their words."""
        return self.near(sentence) and action >= self._floor(agreement)

    def near(self, sentence: float) -> bool:
        """Whether the sentences of two insights are similar enough to merge."""
        return sentence >= (self.merge if self.sentence is None else self.sentence)

    def _floor(self, agreement: Agreement) -> float:
        match agreement:
            case Agreement.APART:
                return float("inf")
            case Agreement.UNLIKE:
                return self.action_unlike
            case Agreement.PLAIN:
                return self.action
            case Agreement.SHARED:
                return self.action_shared
            case Agreement.TERSE:
                return min(self.action_terse, self.action_shared, self.action)

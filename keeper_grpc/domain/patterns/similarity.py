"""Which cosine similarity means what. The numbers belong to an embedding model and a rendering."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Cosines at or above which texts say the same, the same kind of thing, anything at all.

    They are calibrated by `bench/thresholds.py`.
    merge: two insights' sentences say the same.
    reworded_sentence, reworded_action: so do insights whose sentences and whose actions alone are
    both at least so similar. The action alone tells rewordings from other actions in the same
    situation better than the sentence does (docs/adr/0002); 1.0 leaves this rule out.
    cluster: two sightings belong to one emerging pattern.
    retrieval: below it, a pattern says nothing about an insight.
    """

    merge: float
    cluster: float
    retrieval: float
    reworded_sentence: float = 1.0
    reworded_action: float = 1.0

    def same(self, sentence: float, action: float) -> bool:
        """Whether cosines of the sentences and of the actions allow a merge."""
        return sentence >= self.merge or (
            sentence >= self.reworded_sentence and action >= self.reworded_action
        )

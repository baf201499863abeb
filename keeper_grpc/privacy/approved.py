"""The words that k accounts use, known by their keyed hashes only."""

from __future__ import annotations

from collections.abc import Callable


class KAccountWords:
    """Answers the layer of unknown words from memory. `hashed` turns a folded word into its keyed hash.

    Empty until `replace` is called: what is not known to be used by k accounts is masked.
    """

    def __init__(self, hashed: Callable[[str], str]) -> None:
        self.on_change: Callable[[], None] = lambda: None
        """Called when other words are approved than before."""
        self._hashed = hashed
        self._hashes: frozenset[str] = frozenset()

    def __contains__(self, word: object, /) -> bool:
        return bool(self._hashes) and isinstance(word, str) and self._hashed(word) in self._hashes

    def replace(self, hashes: frozenset[str]) -> None:
        """Approve the words of these hashes and no others."""
        changed = hashes != self._hashes
        self._hashes = hashes
        if changed:
            self.on_change()

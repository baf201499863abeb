"""Known phrases in a text: runs of words that mean something whole, longest first."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from keeper_grpc.privacy.text.draft import Draft
from keeper_grpc.privacy.text.tokens import keys


class Phrases:
    """A set of phrases of at least two words, by their folded words.

    A single word ("Rose") would hide a person of that name, and is known vocabulary anyway.
    """

    def __init__(self, phrases: Iterable[str]) -> None:
        self._runs: dict[str, list[tuple[str, ...]]] = {}
        for phrase in phrases:
            run = tuple(keys(phrase))
            if len(run) > 1 and run not in self._runs.get(run[0], ()):
                self._runs.setdefault(run[0], []).append(run)
        for runs in self._runs.values():
            runs.sort(key=len, reverse=True)
        self._firsts = frozenset(self._runs)

    def __bool__(self) -> bool:
        return bool(self._runs)

    def find(self, draft: Draft) -> Iterator[tuple[int, int]]:
        """[first, end) among the draft's words of each phrase; they do not overlap."""
        if self._firsts.isdisjoint(draft.keys()):
            return
        text, found = draft.text, draft.words()
        at = 0
        while at < len(found):
            if found[at].key not in self._firsts:
                at += 1
                continue
            length = 0
            for run in self._runs[found[at].key]:
                end = at + len(run)
                if (
                    len(found) >= end
                    and all(found[at + i].key == key for i, key in enumerate(run))
                    and "\n" not in text[found[at].start : found[end - 1].end]
                ):
                    length = len(run)
                    yield at, end
                    break
            at += length or 1

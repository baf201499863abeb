"""Where the names of declared businesses that have figures stand: `Studio 54`, `24 Hour Gym`, `Room2`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final

from keeper_grpc.privacy.text.draft import Draft, Span

_PIECES: Final = re.compile(r"\d+|[^\W\d_]+")
"""Words and figures of a business's name."""


class NamesWithFigures:
    """Finds them: the figures are part of the name, written together with its words or apart."""

    def __init__(self, names: Iterable[str]) -> None:
        self._patterns = [
            pattern for name in names if any(map(str.isdigit, name)) for pattern in _patterns(name)
        ]

    def __bool__(self) -> bool:
        return bool(self._patterns)

    def stand_in(self, text: str) -> bool:
        """Whether one of them stands in the text."""
        return any(pattern.search(text) for pattern in self._patterns)

    def spans(self, draft: Draft) -> Iterator[Span]:
        """Where they stand, in order, none over another."""
        end = -1
        for span in sorted(self._found(draft), key=lambda span: span.start):
            if span.start >= end:
                yield span
                end = span.end

    def _found(self, draft: Draft) -> Iterator[Span]:
        for pattern in self._patterns:
            draft.record.check_time()
            for match in pattern.finditer(draft.text):
                role = draft.record.role("business", match.re.pattern)
                yield Span(*match.span(), "business_name", role)


def _patterns(name: str) -> Iterator[re.Pattern[str]]:
    pieces = _PIECES.findall(name.lower())
    pieces = pieces[1:] if pieces[0] == "the" and len(pieces) > 2 else pieces  # noqa: PLR2004  # The, and two more
    if len(pieces) > 1:
        between = r"[\W_]{0,3}".join(map(re.escape, pieces))
        yield re.compile(rf"(?<![^\W_]){between}(?!\d)", re.IGNORECASE)

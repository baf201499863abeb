"""What to try next: the surest patterns that are advised now, each with how sure that is, and why."""

from __future__ import annotations

from collections.abc import Sequence

from nicegui import html

from keeper_grpc.dashboard.filters import words
from keeper_grpc.dashboard.look import figures
from keeper_grpc.dashboard.look.masks import plainly
from keeper_grpc.dashboard.look.text import Text
from keeper_grpc.dashboard.sections.patterns import fading
from keeper_grpc.gen.keeper.network.v1.pattern_pb2 import Pattern

_SHOWN = 3
"""Cards: one for each line of business, or as many of the one that is chosen."""

_NOTHING = "Nothing is proven here yet. What several accounts see to work appears here by itself."

_MASKS = "Words in brackets stand for names that were taken out."


class TryNext:
    """A card for each: what to do, how sure that is, and why."""

    def __init__(self, category: str) -> None:
        self._category = category
        self._list = html.ul().classes("next")
        with self._list:
            for _ in range(_SHOWN):
                # As high as what will stand there, so that nothing moves when it comes.
                html.li().classes("card waiting")
        self._masks = Text("p", _MASKS, "basis")
        self._masks.set_visibility(False)
        self._shown: Sequence[Pattern] = ()

    def show(self, patterns: Sequence[Pattern]) -> None:
        """Show the best of these, which come in the network's ranking order."""
        found = chosen(patterns, self._category)
        if found == self._shown and found:
            return
        self._shown = found
        self._list.clear()
        with self._list:
            for pattern in found:
                _card(pattern, with_category=not self._category)
            if not found:
                Text("li", _NOTHING, "card empty")
        self._masks.set_visibility(any("[" in pattern.action for pattern in found))


def chosen(patterns: Sequence[Pattern], category: str) -> Sequence[Pattern]:
    """The surest that are advised now: the first ones of one line of business, or the first one of each."""
    advised = [
        pattern
        for pattern in patterns
        if pattern.evidence.occurrence_count
        and not pattern.crossed_guardrails
        and not fading(pattern)
    ]
    if not category:
        best: dict[str, Pattern] = {}
        for pattern in advised:
            best.setdefault(pattern.business_category, pattern)
        advised = list(best.values())
    return advised[:_SHOWN]


def _card(pattern: Pattern, *, with_category: bool) -> None:
    with html.li().classes("card"):
        if with_category:
            Text("p", words(pattern.business_category).capitalize(), "where")
        with html.h3():
            Text("a", plainly(pattern.action), href=f"patterns/{pattern.pattern_id}")
        Text("p", sure(pattern), "sure")
        Text("p", because(pattern), "basis")


def sure(pattern: Pattern) -> str:
    """How sure it is."""
    evidence = pattern.evidence
    return (
        f"Works {figures.share(evidence.success_rate)} of the time; with 95% certainty at least "
        f"{figures.share(evidence.lower_bound)}."
    )


def because(pattern: Pattern) -> str:
    """Why that is said, and for what it is."""
    evidence = pattern.evidence
    when = ", ".join(
        f"{words(name)} is {figures.fact(value)}"
        for name, value in sorted(pattern.conditions.items())
    )
    seen = (
        f"Because {evidence.success_count:,} of {evidence.occurrence_count:,} reported cases succeeded, at "
        f"{evidence.account_count:,} owners, last on "
        f"{figures.day(pattern.last_validated_time)}."
    )
    about = f" For {words(pattern.pattern_type)}"
    return f"{seen}{about}{f', first seen when {when}' if when else ''}."

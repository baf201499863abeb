"""What a section says while that which it shows cannot be read."""

from __future__ import annotations

from nicegui import html

from keeper_grpc.client import KeeperClientError
from keeper_grpc.dashboard.look.markup import WARNING, Text


class Notice:
    """A line that is there while a feed has a problem. `what` names what the section shows.

    Its element is in the page also while it says nothing: else it would not be announced when it does.
    """

    def __init__(self, what: str) -> None:
        self._what = what
        with html.p(**{"aria-live": "polite", "aria-atomic": "true"}) as self._element:
            self._icon = Text("span", **{"aria-hidden": "true"})
            self._words = Text("span")
        self._element.classes("unseen")

    def show(self, problem: Exception | None, *, known: bool) -> None:
        """Say what the problem is, if there is one. `known`: what was read before is still shown."""
        self._element.classes(replace="notice" if problem else "unseen")
        self._icon.text = f"{WARNING} " if problem else ""
        self._words.text = said(self._what, problem, known=known) if problem else ""


def said(what: str, problem: Exception, *, known: bool) -> str:
    """A problem in words, of which a defect's are not for readers."""
    told = "may be out of date and cannot be read now" if known else "cannot be read now"
    why = problem.code.name if isinstance(problem, KeeperClientError) else "a defect of this page"
    return f"{what} {told} ({why}). Trying again."

"""The notice of a section whose data cannot be read at present."""

from __future__ import annotations

from nicegui import html

from keeper_grpc.client import KeeperClientError
from keeper_grpc.dashboard.look.markup import WARNING
from keeper_grpc.dashboard.look.text import Text
from keeper_grpc.dashboard.upstream.refused import REFUSED


class Notice:
    """A line that is shown while a feed has a problem. `what` names the section's data.

    Its element stays in the page while it is empty, because a live region that is added later is not
    announced.
    """

    def __init__(self, what: str) -> None:
        self._what = what
        with html.p(**{"aria-live": "polite", "aria-atomic": "true"}) as self._element:
            self._icon = Text("span", **{"aria-hidden": "true"})
            self._words = Text("span")
        self._element.classes("unseen")

    def show(self, problem: Exception | None, *, known: bool) -> None:
        """Show the problem, if there is one. `known`: data of an earlier read is still shown."""
        self._element.classes(replace="notice" if problem else "unseen")
        self._icon.text = f"{WARNING} " if problem else ""
        self._words.text = said(self._what, problem, known=known) if problem else ""


def said(what: str, problem: Exception, *, known: bool) -> str:
    """A problem in words; a defect's own message is not shown to readers."""
    if isinstance(problem, KeeperClientError) and problem.code in REFUSED:
        return f"{what} is not for this dashboard to read ({problem.code.name}): its token does not allow it."
    told = "may be out of date and cannot be read now" if known else "cannot be read now"
    why = problem.code.name if isinstance(problem, KeeperClientError) else "a defect of this page"
    return f"{what} {told} ({why}). Trying again."

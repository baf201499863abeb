"""An interval of confidence, behind the word that says what it is."""

from __future__ import annotations

from nicegui import html

from keeper_grpc.dashboard.look.terms import term
from keeper_grpc.dashboard.look.text import Text


class Interval:
    """Hidden where there is none."""

    def __init__(self) -> None:
        with html.span() as self._element:
            term("95% interval")
            self._between = Text("span")
        self.show("")

    def show(self, between: str) -> None:
        """Change it; empty for none."""
        self._between.text = f" {between}"
        self._element.set_visibility(bool(between))

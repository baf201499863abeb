"""What a page is called: its first heading, and the browser's tab."""

from __future__ import annotations

from nicegui import ui

from keeper_grpc.dashboard.look.text import Text

SITE = "Keeper Network"
"""What every tab ends with."""


def tab(name: str) -> str:
    """The title of the browser's tab."""
    return f"{name} \N{MIDDLE DOT} {SITE}"


class PageTitle:
    """The first heading of a page that is called by what it shows. The tab says the same, also when that changes."""

    def __init__(self, name: str) -> None:
        self._heading = Text("h1", name)
        self._client = ui.context.client

    def show(self, name: str) -> None:
        """Change both."""
        if name == self._heading.text:
            return
        self._heading.text = name
        with self._client:
            ui.page_title(tab(name))

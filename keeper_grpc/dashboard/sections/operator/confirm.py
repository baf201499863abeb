"""Asks before something is done: what it is, and what follows of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from nicegui import events, html

from keeper_grpc.dashboard.look.forms import SUBMIT, field, held
from keeper_grpc.dashboard.look.text import Text


@dataclass(frozen=True, slots=True)
class Proposal:
    """What would be done. `again` is to be typed once more, where that is asked for.

    Nothing is done before `carry_out` is called, which returns what was done, in words.
    """

    title: str
    consequences: Sequence[str]
    button: str
    carry_out: Callable[[], Awaitable[str]]
    again: str = ""
    again_name: str = ""


class Confirm:
    """Hidden until something is proposed. `run` is called once for each proposal that is confirmed."""

    def __init__(self, run: Callable[[Proposal], Awaitable[None]]) -> None:
        self._run = run
        self._proposal: Proposal | None = None
        self._panel = html.div(
            role="alertdialog", tabindex="-1", **{"aria-labelledby": "confirm-title"}
        ).classes("card confirm")
        self._panel.set_visibility(False)

    def propose(self, proposal: Proposal) -> None:
        """Show it, and bring the focus there."""
        self._proposal = proposal
        self._panel.clear()
        with self._panel:
            Text("h3", proposal.title, id="confirm-title")
            with html.ul().classes("consequences"):
                for consequence in proposal.consequences:
                    Text("li", consequence)
            with (
                html.form(autocomplete="off")
                .classes("fields")
                .on("submit", self._confirmed, js_handler=SUBMIT)
            ):
                if proposal.again:
                    field(proposal.again_name, "again", required=True, autocomplete="off")
                Text("button", proposal.button, "grave", type="submit")
                Text("button", "Change nothing", "plain", type="button").on("click", self.withdraw)
            self._wrong = Text("p", "", "notice", role="alert")
        self._wrong.set_visibility(False)
        self._panel.set_visibility(True)
        self._panel.run_method("focus")

    def withdraw(self) -> None:
        """Nothing is done."""
        self._proposal = None
        self._panel.clear()
        self._panel.set_visibility(False)

    async def _confirmed(self, event: events.GenericEventArguments) -> None:
        proposal = self._proposal
        if proposal is None:
            return
        if proposal.again and str(held(event).get("again", "")) != proposal.again:
            self._wrong.text = "That is not the same. Nothing was done."
            self._wrong.set_visibility(True)
            return
        # First, so that a second press does nothing.
        self.withdraw()
        await self._run(proposal)

"""What became of the advice: the funnel from shown to done, and why the rest was dismissed."""

from __future__ import annotations

from typing import Final

from nicegui import html

from keeper_grpc.client.adoption import dismissals_in_words
from keeper_grpc.dashboard.look import figures
from keeper_grpc.dashboard.look.terms import heading
from keeper_grpc.dashboard.look.text import Text
from keeper_grpc.gen.keeper.network.v1.network_service_pb2 import GetNetworkMetricsResponse

_STAGES: Final = {
    "shown_count": "Shown",
    "accepted_count": "Accepted",
    "done_count": "Done",
    "dismissed_count": "Dismissed",
}
"""The stages by their field of Adoption. The last one is not a part of the one before it."""

_TOO_FEW: Final = "Too few accounts have reported what became of the advice that they were given."
_WITHHELD: Final = "Withheld: too few accounts were active in this window."


class AdoptionFunnel:
    """A bar for each stage that advice reached, as a share of all that was shown."""

    def __init__(self) -> None:
        with html.div().classes("card funnel"):
            with html.ul() as self._list:
                self._stages = {field: _Stage(name) for field, name in _STAGES.items()}
            self._note = Text("p", "Loading", "basis")
        self._list.set_visibility(False)

    def show(self, report: GetNetworkMetricsResponse) -> None:
        """Show a report."""
        known = report.HasField("adoption")
        self._list.set_visibility(known)
        if not known:
            self._note.text = _WITHHELD if report.withheld else _TOO_FEW
            return
        adoption = report.adoption
        for field, stage in self._stages.items():
            stage.show(getattr(adoption, field), adoption.shown_count)
        owners = figures.count(adoption.account_count, "owner", "owners")
        because = dismissals_in_words(adoption)
        self._note.text = f"Advice with a reported reaction, of {owners}." + (
            f" Dismissed because: {because}." if because else ""
        )


class _Stage:
    def __init__(self, name: str) -> None:
        with html.li().classes(name.lower()):
            heading("span", name, "stage")
            # The number beside it says the same.
            with html.span(**{"aria-hidden": "true"}).classes("track"):
                self._bar = html.span().classes("bar")
            self._count = Text("span", "", "count")

    def show(self, reached: int, shown: int) -> None:
        part = reached / shown if shown else 0.0
        self._bar.style(f"width: {100 * part:.1f}%")
        self._count.text = f"{reached:,} ({figures.share(part)})"

"""A small curve beside a number: how it went, without axes. The sentence beside it says the same in words."""

from __future__ import annotations

from collections.abc import Sequence

from nicegui.element import Element

_WIDTH, _HEIGHT, _EDGE = 96.0, 24.0, 2.0


class Sparkline:
    """A line through the steps that have a value; hidden with fewer than two."""

    def __init__(self) -> None:
        self._drawing = Element("svg").classes("spark")
        self._drawing.props.update(
            {"viewBox": f"0 0 {_WIDTH:g} {_HEIGHT:g}", "aria-hidden": "true", "focusable": "false"}
        )
        with self._drawing:
            self._line = Element("polyline")
        self._drawing.style("visibility: hidden")

    def show(self, values: Sequence[float | None]) -> None:
        """Draw the values; what is None is passed over."""
        found = points(values)
        self._line.props["points"] = found
        self._drawing.style(f"visibility: {'visible' if found else 'hidden'}")


def points(values: Sequence[float | None]) -> str:
    """Where the line goes through; empty with fewer than two values."""
    known = [(step, value) for step, value in enumerate(values) if value is not None]
    if len(known) < 2:  # noqa: PLR2004 - a line has two ends
        return ""
    lowest = min(value for _, value in known)
    spread = max(value for _, value in known) - lowest
    across, up = _WIDTH - 2 * _EDGE, _HEIGHT - 2 * _EDGE

    def place(step: int, value: float) -> str:
        x = _EDGE + across * step / (len(values) - 1)
        y = _HEIGHT - _EDGE - (up * (value - lowest) / spread if spread else up / 2)
        return f"{x:.1f},{y:.1f}"

    return " ".join(place(step, value) for step, value in known)

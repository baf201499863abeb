"""What stops the start when metrics or traces cannot be had as asked for."""

from __future__ import annotations


class TelemetryUnusable(Exception):
    """A setting asks for what cannot be done. The message names it and never quotes its value."""

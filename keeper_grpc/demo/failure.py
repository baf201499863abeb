"""The error that ends the demo early."""

from __future__ import annotations


class DemoFailed(Exception):
    """A step did not hold. The message is the line that the user reads."""

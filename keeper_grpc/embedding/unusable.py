"""What stops the start when a local model cannot serve."""

from __future__ import annotations


class ModelUnusable(Exception):
    """A local model is missing, incomplete or not what it claims. The message says what to do."""

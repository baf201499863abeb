"""Lets the line of a call in the log say why its credentials were refused. The answer does not: it would help whoever
makes tokens up.
"""

from __future__ import annotations

import structlog


def note_refusal(why: str) -> None:
    """Add the reason to the log lines of this call. Never anything out of the token."""
    structlog.contextvars.bind_contextvars(token_refused=why)

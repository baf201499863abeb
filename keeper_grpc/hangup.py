"""SIGHUP: certificates and identities are to be read again now."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable


def on_hangup(loop: asyncio.AbstractEventLoop, reload: Callable[[], None]) -> None:
    """Call `reload` at SIGHUP. At a terminal, whose end sends the signal too, it ends the process as ever."""
    if not _at_a_terminal():
        loop.add_signal_handler(signal.SIGHUP, reload)


def _at_a_terminal() -> bool:
    try:
        return os.isatty(0)
    except OSError:  # closed
        return False

"""stdout, as a terminal or a pipe."""

from __future__ import annotations

import asyncio
import os
import stat
import sys

from rich.console import Console

_UNBROKEN = 10_000
"""Columns without a terminal: lines are never broken or cut, so that grep finds them."""


class Screen(Console):
    """A rich console for text from outside: markup, emoji codes and links are not interpreted."""

    def __init__(self) -> None:
        on_terminal = sys.stdout.isatty()
        super().__init__(
            markup=False,
            emoji=False,
            highlight=False,
            soft_wrap=not on_terminal,
            width=None if on_terminal else _UNBROKEN,
        )
        self.redraws = on_terminal and not self.is_dumb_terminal
        """Whether printed output can be redrawn."""

    def on_broken_pipe(self) -> None:
        """Raise BrokenPipeError, where rich would exit: the command decides the exit code."""
        raise BrokenPipeError


async def nobody_reads() -> None:
    """Wait until the other end of a piped stdout is closed, then raise BrokenPipeError.

    A watch may write nothing for hours and would not notice a closed pipe. Waits for ever when
    stdout is not a pipe.
    """
    descriptor = sys.stdout.fileno()
    closed = asyncio.Event()
    if not stat.S_ISFIFO(os.fstat(descriptor).st_mode):
        await closed.wait()
    loop = asyncio.get_running_loop()
    # The write end of a pipe polls readable only when the read end is closed.
    loop.add_reader(descriptor, closed.set)
    try:
        await closed.wait()
    finally:
        loop.remove_reader(descriptor)
    raise BrokenPipeError

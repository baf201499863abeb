"""stdout, be it a terminal or a pipe."""

from __future__ import annotations

import asyncio
import os
import stat
import sys

from rich.console import Console

_UNBROKEN = 10_000
"""Columns where there is no terminal: a line is never broken or cut there, so that grep finds it."""


class Screen(Console):
    """A rich console for words that are not ours: nothing in them is markup, emoji or a link."""

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
        """Whether what was printed can be replaced."""

    def on_broken_pipe(self) -> None:
        """Raise, where rich would end the process: how it ends is its command's business."""
        raise BrokenPipeError


async def nobody_reads() -> None:
    """Wait until the other end of a piped stdout is closed, then raise BrokenPipeError.

    A watch may have nothing to write for hours, and would not find out. Where stdout is no pipe, it
    waits for ever.
    """
    descriptor = sys.stdout.fileno()
    closed = asyncio.Event()
    if not stat.S_ISFIFO(os.fstat(descriptor).st_mode):
        await closed.wait()
    loop = asyncio.get_running_loop()
    # The writing end of a pipe is never readable; it only becomes so by the error of being closed.
    loop.add_reader(descriptor, closed.set)
    try:
        await closed.wait()
    finally:
        loop.remove_reader(descriptor)
    raise BrokenPipeError

"""What rich makes of something on a screen of a given size, without styles."""

from __future__ import annotations

from io import StringIO

from rich.console import Console, RenderableType


def console(width: int, height: int = 24) -> Console:
    """A screen that keeps what is printed. It interprets markup, unlike ours: worse than the worst."""
    return Console(file=StringIO(), width=width, height=height, highlight=False)


def rendered(content: RenderableType, width: int) -> list[str]:
    """The lines that it takes, without blanks at their ends."""
    screen = console(width)
    screen.print(content)
    assert isinstance(screen.file, StringIO)
    return [line.rstrip() for line in screen.file.getvalue().splitlines()]

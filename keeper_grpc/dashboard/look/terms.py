"""A word with its meaning: shown on hover, on focus and on a tap, and read out by screen readers."""

from __future__ import annotations

from itertools import count

from nicegui import html
from nicegui.element import Element

from keeper_grpc.dashboard.look.glossary import GLOSSARY
from keeper_grpc.dashboard.look.text import Text

_numbers = count(1)


def term(name: str) -> None:
    """The word as a button that its meaning describes. The theme's script hides the meaning on Escape."""
    meaning = f"meaning-{next(_numbers)}"
    with html.span().classes("defined"):
        Text("button", name, "term", type="button", **{"aria-describedby": meaning})
        Text("span", GLOSSARY[name], "means", role="tooltip", id=meaning)


def heading(tag: str, name: str, classes: str = "", **props: str) -> None:
    """A heading of that tag; the word explains itself where the glossary has it."""
    if name not in GLOSSARY:
        Text(tag, name, classes, **props)
        return
    with Element(tag).classes(classes) as made:
        made.props.update(props)
        term(name)

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
    _Defined().show(name)


def question_mark(name: str) -> None:
    """A button beside the label of a field. A label cannot be a button itself: it leads to its field."""
    defined = _Defined("ask")
    with defined.button:
        Text("span", "?", **{"aria-hidden": "true"})
        Text("span", f"{name}: what that is", "unseen")
    defined.explain(name)


def heading(tag: str, name: str, classes: str = "", **props: str) -> None:
    """A heading of that tag; the word explains itself where the glossary has it."""
    if name not in GLOSSARY:
        Text(tag, name, classes, **props)
        return
    with Element(tag).classes(classes) as made:
        made.props.update(props)
        term(name)


class Word:
    """A word that changes. It explains itself where the glossary has it."""

    def __init__(self) -> None:
        self._plain = Text("span")
        self._defined = _Defined()
        self.show("")

    def show(self, word: str) -> None:
        """Change it."""
        known = word in GLOSSARY
        self._plain.text = "" if known else word
        if known:
            self._defined.show(word)
        self._plain.set_visibility(not known)
        self._defined.element.set_visibility(known)


class _Defined:
    """A button, and the meaning that stands below it while it is pointed at or focused."""

    def __init__(self, classes: str = "term") -> None:
        meaning = f"meaning-{next(_numbers)}"
        with html.span().classes("defined") as self.element:
            self.button = Text(
                "button", "", classes, type="button", **{"aria-describedby": meaning}
            )
            self._means = Text("span", "", "means", role="tooltip", id=meaning)

    def show(self, name: str) -> None:
        """The word on the button, with its meaning."""
        self.button.text = name
        self.explain(name)

    def explain(self, name: str) -> None:
        """The meaning of the word."""
        self._means.text = GLOSSARY[name]

"""A text of any tag."""

from __future__ import annotations

from nicegui.elements.mixins.text_element import TextElement


class Text(TextElement):
    """An element of any tag that holds a text. Setting `text` sends only a difference."""

    def __init__(self, tag: str, text: str = "", classes: str = "", **props: str) -> None:
        super().__init__(tag=tag, text=text)
        self.classes(classes)
        self.props.update(props)

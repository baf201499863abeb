"""Fields of forms: each with a label, and a value that the address or an event carries."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeAlias

from nicegui import events, html
from nicegui.element import Element

from keeper_grpc.client import InvalidRequest, KeeperClientError
from keeper_grpc.dashboard.look.glossary import GLOSSARY
from keeper_grpc.dashboard.look.terms import question_mark
from keeper_grpc.dashboard.look.text import Text

Handler: TypeAlias = Callable[[events.GenericEventArguments], Awaitable[None]]
"""Takes what a form sends."""

SUBMIT = (
    "(event) => { event.preventDefault(); emit(Object.fromEntries(new FormData(event.target))); }"
)
"""Sends a form's fields over the page's own connection: in an address they would stand in logs."""

_REFUSED = {
    "UNAUTHENTICATED": "The network wants a token, and this one is none or has expired.",
    "PERMISSION_DENIED": "This token does not allow that.",
}


class SearchField:
    """A field for words to look for."""

    def __init__(self, name: str, key: str, value: str) -> None:
        with _field(name) as label:
            made = html.input_(type="search", name=key, defaultValue=value, maxlength="200")
            _joined(label, made)


class Choice:
    """A list to choose from."""

    def __init__(self, name: str, key: str, chosen: str) -> None:
        self._chosen = chosen
        self._shown: Mapping[str, str] = {}
        with _field(name) as label:
            self._list = html.select(name=key)
            _joined(label, self._list)

    def show(self, choices: Mapping[str, str]) -> None:
        """Offer these: what is sent, and its name for people."""
        if choices == self._shown:
            return
        self._shown = choices
        self._list.clear()
        with self._list:
            for value, name in choices.items():
                option = Text("option", name, value=value)
                if value == self._chosen:
                    option.props["selected"] = True


def field(
    name: str, key: str, *, lines: int = 0, hint: str = "", value: str = "", **props: object
) -> Element:
    """A field for a text, of one line or of more; `hint` stands below it, `value` is what it begins with.

    As the default: a value that is bound takes the place of what was typed, whenever the page changes.
    """
    with _field(name) as label:
        if lines:
            made: Element = html.textarea(name=key, rows=str(lines))
        else:
            made = html.input_(type="text", name=key)
        _joined(label, made)
        made.props.update(props)
        if value:
            made.props["defaultValue"] = value
        if hint:
            made.props["aria-describedby"] = Text("small", hint).html_id
    return made


@contextmanager
def _field(name: str) -> Iterator[Element]:
    """A field below its label, beside which a question mark explains the word where the glossary has it."""
    with html.div().classes("field"):
        with html.span().classes("label"):
            label = Text("label", name)
            if name in GLOSSARY:
                question_mark(name)
        yield label


def _joined(label: Element, made: Element) -> None:
    label.props["for"] = made.html_id


def held(event: events.GenericEventArguments) -> Mapping[str, Any]:
    """The fields that a form sent, by their names; none where anything else came."""
    return event.args if isinstance(event.args, Mapping) else {}


def said(error: KeeperClientError) -> str:
    """Why there is no answer, for the person at the form."""
    if isinstance(error, InvalidRequest) and error.field_violations:
        return "; ".join(f"{each.field}: {each.description}" for each in error.field_violations)
    code = error.code.name
    return _REFUSED.get(code, f"The network cannot be asked now ({code}).")

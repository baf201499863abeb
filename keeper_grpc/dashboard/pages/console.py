"""Try an insight: how the network would read it, what it finds, how that ranks, and why. Stores nothing."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from nicegui import events, html, ui

from keeper_grpc.client import KeeperClientError
from keeper_grpc.dashboard.filters import Filter
from keeper_grpc.dashboard.look.forms import SUBMIT, field, held, said
from keeper_grpc.dashboard.look.text import Text
from keeper_grpc.dashboard.pages.frame import Frame
from keeper_grpc.dashboard.sections.preview import Preview
from keeper_grpc.dashboard.upstream.feeds import Feeds
from keeper_grpc.gen.keeper.network.v1.insight_pb2 import Identifiers, Insight

_LONGEST = 10_000
"""Characters of a field that are read at all; the API has its own bounds."""


class ConsolePage:
    """One open page. What is typed is sent to the server once, for the preview, and kept by the browser only."""

    def __init__(self, feeds: Feeds) -> None:
        self._client = feeds.client
        self._metrics = feeds.metrics[Filter()]
        self._busy = False
        self._frame = Frame(home="./", here="try")
        with self._frame.content:
            with html.div().classes("head"):
                Text("h1", "Try an insight")
                Text(
                    "p",
                    "What would the network make of it? Each step is shown. Nobody asks here: nothing is stored, "
                    "counted or learned.",
                    "lead",
                )
            with html.form().classes("card console").on("submit", self._try, js_handler=SUBMIT):
                self._fields()
            self._problem = Text("p", "", "notice", role="alert")
            self._problem.set_visibility(False)
            self._preview = Preview()
        client = ui.context.client
        client.on_delete(self._metrics.listen(self._live))
        self._live()

    @staticmethod
    def _fields() -> None:
        names: Mapping[str, Any] = {
            "pattern": "[a-z][a-z0-9_]*",
            "required": True,
            "maxlength": "64",
        }
        field(
            "Type",
            "type",
            value="churn_prevention",
            hint="churn_prevention, review_response, \N{HORIZONTAL ELLIPSIS}",
            **names,
        )
        field(
            "Line of business",
            "business_category",
            value="spa",
            hint="spa, salon, gym, \N{HORIZONTAL ELLIPSIS}",
            **names,
        )
        field(
            "Conditions",
            "conditions",
            lines=3,
            hint="One a line, as days_since_visit: 60",
            maxlength="2000",
        )
        field("Action, if one is planned", "action", lines=2, maxlength="2000")
        field("Names of customers in it", "names", hint="With commas between them", maxlength="500")
        Text("button", "Show what the network would say", type="submit")

    def _live(self) -> None:
        self._frame.show(self._metrics)

    async def _try(self, event: events.GenericEventArguments) -> None:
        """Ask once at a time: a second press while one is under way changes nothing."""
        if self._busy:
            return
        unread = unread_lines(str(held(event).get("conditions", ""))[:_LONGEST])
        if unread:
            self._failed(
                f"Line {unread[0]} of the conditions has no colon: write each as days_since_visit: 60."
            )
            return
        self._busy = True
        try:
            insight, identifiers = read(event.args)
            found = await self._client.preview(insight, identifiers=identifiers)
        except KeeperClientError as error:
            self._failed(said(error))
        else:
            self._problem.set_visibility(False)
            self._preview.show(found)
            self._frame.say("The answer is below")
        finally:
            self._busy = False

    def _failed(self, why: str) -> None:
        self._problem.text = why
        self._problem.set_visibility(True)
        self._preview.hide()


def read(fields: object) -> tuple[Insight, Identifiers]:
    """What the form holds. Anything else is as if it were empty: the server says what is missing."""
    sent: Mapping[str, Any] = fields if isinstance(fields, Mapping) else {}
    text = {
        name: str(sent.get(name, ""))[:_LONGEST].strip()
        for name in ("type", "business_category", "conditions", "action", "names")
    }
    insight = Insight(
        type=text["type"],
        business_category=text["business_category"],
        action=text["action"],
        confidence=0.5,
    )
    insight.conditions.update(conditions(text["conditions"]))
    names = [name.strip() for name in text["names"].split(",") if name.strip()]
    return insight, Identifiers(customer_names=names)


def conditions(lines: str) -> dict[str, Any]:
    """One condition for each line with a colon: a number or a truth value where it reads so, else a text."""
    found: dict[str, Any] = {}
    for line in lines.splitlines():
        name, colon, value = line.partition(":")
        if colon and name.strip():
            found[name.strip()] = _value(value.strip())
    return found


def unread_lines(lines: str) -> list[int]:
    """The numbers of lines that are no condition, from 1: what is typed is never left out without a word."""
    return [
        number
        for number, line in enumerate(lines.splitlines(), 1)
        if line.strip() and not (":" in line and line.partition(":")[0].strip())
    ]


def _value(text: str) -> bool | float | str:
    try:
        value = json.loads(text)
    except ValueError:
        return text
    return value if isinstance(value, bool | float | int) and abs(value) < float("inf") else text

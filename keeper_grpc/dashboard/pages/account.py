"""One account: what the network is worth to it. Behind the account's own token, which the page forgets."""

from __future__ import annotations

from datetime import timedelta

from nicegui import events, html, ui

from keeper_grpc.client import KeeperClient, KeeperClientError
from keeper_grpc.client.credentials import CredentialsUnusable
from keeper_grpc.dashboard.filters import WINDOWS, Filter
from keeper_grpc.dashboard.look.forms import SUBMIT, Choice, field, held, said
from keeper_grpc.dashboard.look.text import Text
from keeper_grpc.dashboard.pages.frame import Frame
from keeper_grpc.dashboard.sections.account_value import AccountValue
from keeper_grpc.dashboard.upstream.feeds import Feeds

_LONGEST_ID = 128
_LONGEST_TOKEN = 8_192
"""Characters of what is typed that are read; longer is none."""


class AccountPage:
    """One open page. Account and token stand in no address and no log, and are kept by the browser's form only.

    `visitors` has no credentials of the dashboard: what a visitor may see is what the visitor's token allows.
    """

    def __init__(self, feeds: Feeds, visitors: KeeperClient) -> None:
        self._visitors = visitors
        self._metrics = feeds.metrics[Filter()]
        self._busy = False
        self._frame = Frame(home="./", here="account")
        with self._frame.content:
            with html.div().classes("head"):
                Text("h1", "One account")
                Text(
                    "p",
                    "What the network told an account, what that brought, what the account gave to others, and how "
                    "its peers fare. For the account itself.",
                    "lead",
                )
            with (
                html.form(autocomplete="off")
                .classes("card fields")
                .on("submit", self._ask, js_handler=SUBMIT)
            ):
                field(
                    "Account",
                    "account_id",
                    hint="Its id, as its systems send it",
                    required=True,
                    maxlength=str(_LONGEST_ID),
                )
                field(
                    "Token",
                    "token",
                    hint="The account's own, if the network asks for one",
                    type="password",
                    maxlength=str(_LONGEST_TOKEN),
                )
                window = Choice("Window", "days", "30")
                Text("button", "Show", type="submit")
            window.show({str(days): name for days, name in WINDOWS.items()})
            self._problem = Text("p", "", "notice", role="alert")
            self._problem.set_visibility(False)
            self._value = AccountValue()
        client = ui.context.client
        client.on_delete(self._metrics.listen(self._live))
        self._live()

    def _live(self) -> None:
        self._frame.show(self._metrics)

    async def _ask(self, event: events.GenericEventArguments) -> None:
        """Ask once at a time."""
        if self._busy:
            return
        sent = held(event)
        days = str(sent.get("days", ""))
        self._busy = True
        try:
            found = await self._visitors.account_value(
                str(sent.get("account_id", ""))[: _LONGEST_ID + 1],
                window=timedelta(days=int(days)) if days in map(str, WINDOWS) else None,
                token=str(sent.get("token", ""))[:_LONGEST_TOKEN].strip(),
            )
        except KeeperClientError as error:
            self._failed(said(error))
        except CredentialsUnusable as error:
            self._failed(f"Not asked: {error}.")
        else:
            self._problem.set_visibility(False)
            self._value.show(found)
            self._frame.say("The account's numbers are below")
        finally:
            self._busy = False

    def _failed(self, why: str) -> None:
        self._problem.text = why
        self._problem.set_visibility(True)
        self._value.hide()

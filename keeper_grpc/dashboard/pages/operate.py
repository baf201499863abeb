"""The operator's page: how the service is, what operators did, and what only they may do.

Nothing here is done by an address: every action is an event of this page's own connection, which a page of another
origin cannot open. The token is this page's alone, and is forgotten with it.
"""

from __future__ import annotations

from collections.abc import Callable

from nicegui import background_tasks, events, html, ui

from keeper_grpc.client import KeeperClientError
from keeper_grpc.client.credentials import CredentialsUnusable
from keeper_grpc.dashboard.filters import Filter
from keeper_grpc.dashboard.look.forms import SUBMIT, field, held, said
from keeper_grpc.dashboard.look.text import Text
from keeper_grpc.dashboard.pages.frame import Frame, part
from keeper_grpc.dashboard.sections.operator import forgetting, withdrawing
from keeper_grpc.dashboard.sections.operator.audit import AuditTable
from keeper_grpc.dashboard.sections.operator.background import Background, Retention
from keeper_grpc.dashboard.sections.operator.calls import CallTable, GateTable
from keeper_grpc.dashboard.sections.operator.confirm import Confirm, Proposal
from keeper_grpc.dashboard.sections.operator.processes import HealthList, ProcessTable
from keeper_grpc.dashboard.upstream.feeds import Feeds
from keeper_grpc.dashboard.upstream.operator_session import (
    NeedsToken,
    Operators,
    OperatorSession,
)
from keeper_grpc.dashboard.upstream.server_state import ServerState

_LONGEST_TOKEN = 8_192
"""Characters of what is typed that are read; longer is none."""

_ASKS_NOBODY = (
    "This server asks nobody who calls, so that whoever sees this page could operate it. Give the server identities "
    "(docs/security.md), or start keeper dashboard with --operate-without-token on a machine that is yours alone."
)


class OperatePage:
    """One open page. `token` is what a proxy has sent for its visitor, where it does."""

    def __init__(
        self,
        feeds: Feeds,
        state: ServerState,
        operators: Operators,
        *,
        pattern_id: str = "",
        token: str = "",
    ) -> None:
        self._state = state
        self._operators = operators
        self._pattern_id = pattern_id
        self._session: OperatorSession | None = None
        self._stops: list[Callable[[], None]] = []
        self._busy = False
        self._metrics = feeds.metrics[Filter()]
        self._frame = Frame(home="./", here="operate")
        with self._frame.content:
            with html.div().classes("head"):
                Text("h1", "For operators")
                Text(
                    "p",
                    "How the service is, what operators did, and what only they may do. For whoever has the role operate for "
                    "all accounts.",
                    "lead",
                )
            self._sign_in = (
                html.form(autocomplete="off")
                .classes("card fields")
                .on("submit", self._signs_in, js_handler=SUBMIT)
            )
            with self._sign_in:
                field(
                    "Token",
                    "token",
                    hint="Your own, with the role operate for all accounts",
                    type="password",
                    maxlength=str(_LONGEST_TOKEN),
                )
                Text("button", "Sign in", type="submit")
            self._problem = Text("p", "", "notice", role="alert")
            self._problem.set_visibility(False)
            self._done = Text("p", "", "notice calm", role="status")
            self._done.set_visibility(False)
            self._body = html.div().classes("nicegui-column")
            self._body.style("gap: 1.75rem; align-items: stretch; width: 100%")
        client = ui.context.client
        client.on_delete(self._metrics.listen(self._live))
        client.on_delete(self._leave)
        self._live()
        if token:
            ui.timer(0, lambda: self._enter(token), once=True)

    def _live(self) -> None:
        self._frame.show(self._metrics)

    async def _signs_in(self, event: events.GenericEventArguments) -> None:
        await self._enter(str(held(event).get("token", ""))[:_LONGEST_TOKEN].strip())

    async def _enter(self, token: str) -> None:
        if self._busy or self._session is not None:
            return
        self._busy = True
        try:
            self._session = await self._operators.sign_in(token, self._idle)
        except NeedsToken:
            self._failed(_ASKS_NOBODY)
            return
        except KeeperClientError as error:
            self._failed(said(error))
            return
        except CredentialsUnusable as error:
            self._failed(f"Not asked: {error}.")
            return
        finally:
            self._busy = False
        self._problem.set_visibility(False)
        self._sign_in.run_method("reset")
        self._sign_in.set_visibility(False)
        with self._body:
            self._sections()
        self._frame.say("Signed in")
        await self._read_audit()

    def _sections(self) -> None:
        leave = Text("button", "Sign out", "plain", type="button")
        leave.on("click", self._sign_out)
        with part("Health", "health", "As the server says of itself; live", folds=True):
            self._health = HealthList()
            self._processes = ProcessTable()
        with part(
            "Calls", "calls", "Within the last minute, of all processes together", folds=True
        ):
            self._calls = CallTable()
        with part("Admission gate", "gate", "Each kind of work takes its turn", folds=True):
            self._gate = GateTable()
        with part("What goes on by itself", "background", folds=True):
            self._background = Background()
        with part(
            "Retention",
            "retention",
            "What was too old to be kept, since the processes began",
            folds=True,
        ):
            self._retention = Retention()
        with part("Withdraw", "withdraw", "A pattern or a script, or put it back", folds=True):
            withdrawing.WithdrawForm(self._would_withdraw, self._pattern_id)
            self._confirm_withdrawal = Confirm(self._carry_out)
        with part("Forget an account", "forget", "All that came from it, for good", folds=True):
            forgetting.ForgetForm(self._would_forget)
            self._confirm_forgetting = Confirm(self._carry_out)
        with (
            part("What operators did", "audit", "The latest first", folds=True),
            html.div().classes("card"),
        ):
            self._audit = AuditTable()
            self._audit.older.on("click", self._more_audit)
        for feed, listener in (
            (self._state.health, self._health_changed),
            (self._state.processes, self._processes_changed),
        ):
            self._stops.append(feed.listen(listener))
            listener()

    def _health_changed(self) -> None:
        self._health.show(self._state.health)

    def _processes_changed(self) -> None:
        processes = self._state.processes
        self._processes.show(processes)
        self._calls.show(processes)
        self._gate.show(processes)
        self._background.show(processes)
        self._retention.show(processes)

    async def _would_withdraw(self, event: events.GenericEventArguments) -> None:
        session = self._present()
        if session is None or self._busy:
            return
        self._busy = True
        try:
            proposal = await withdrawing.proposed(session.client, held(event))
        except KeeperClientError as error:
            self._failed(said(error))
        else:
            # Whoever has signed out meanwhile has nothing to confirm.
            if self._session is session:
                self._problem.set_visibility(False)
                self._confirm_withdrawal.propose(proposal)
        finally:
            self._busy = False

    async def _would_forget(self, event: events.GenericEventArguments) -> None:
        session = self._present()
        if session is None:
            return
        proposal = forgetting.proposed(session.client, held(event))
        if proposal is not None:
            self._confirm_forgetting.propose(proposal)

    async def _carry_out(self, proposal: Proposal) -> None:
        if self._present() is None or self._busy:
            return
        self._busy = True
        self._done.set_visibility(False)
        try:
            told = await proposal.carry_out()
        except KeeperClientError as error:
            self._failed(f"{said(error)} Look below whether it was done.")
        else:
            self._problem.set_visibility(False)
            self._done.text = told
            self._done.set_visibility(True)
        finally:
            self._busy = False
        await self._read_audit()

    async def _read_audit(self) -> None:
        session = self._session
        if session is None:
            return
        try:
            await self._audit.read(session.client)
        except KeeperClientError as error:
            self._failed(said(error))

    async def _more_audit(self) -> None:
        if self._present() is None:
            return
        try:
            await self._audit.more()
        except KeeperClientError as error:
            self._failed(said(error))

    def _present(self) -> OperatorSession | None:
        if self._session is not None:
            self._session.touch()
        return self._session

    def _failed(self, why: str) -> None:
        self._problem.text = why
        self._problem.set_visibility(True)

    def _idle(self) -> None:
        background_tasks.create(self._sign_out())

    async def _leave(self) -> None:
        """Forget the token, and whatever was shown by it."""
        for stop in self._stops:
            stop()
        self._stops.clear()
        session, self._session = self._session, None
        if session is not None:
            await self._audit.close()
            await session.close()

    async def _sign_out(self) -> None:
        await self._leave()
        self._body.clear()
        self._done.set_visibility(False)
        self._sign_in.set_visibility(True)
        self._frame.say("Signed out")

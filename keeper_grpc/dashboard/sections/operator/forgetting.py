"""Forgetting an account."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from nicegui import html

from keeper_grpc.client import KeeperClient
from keeper_grpc.dashboard.look import figures
from keeper_grpc.dashboard.look.forms import SUBMIT, Handler, field
from keeper_grpc.dashboard.look.text import Text
from keeper_grpc.dashboard.sections.operator.confirm import Proposal
from keeper_grpc.gen.keeper.network.v1.admin_service_pb2 import ForgetAccountResponse

_LONGEST_ID: Final = 128

_CONSEQUENCES: Final = (
    "It cannot be undone: what is removed is in no other place but your backups.",
    (
        "Everything that came from the account is removed: its observations and outcomes, its questions and the advice "
        "it was given, and the wordings that only it used."
    ),
    (
        "Every pattern that it was part of is counted anew without it. Patterns that too few owners support then are no "
        "longer published to anyone; patterns that only it had observed are deleted."
    ),
    "The audit log keeps that an account was forgotten, by whom, when, and how much was removed; not which one.",
    (
        "Calls for the account are refused for a while (KEEPER_TOMBSTONE_RETENTION), unless an operator registers it again "
        "in as many words."
    ),
)


class ForgetForm:
    """Which account."""

    def __init__(self, on_submit: Handler) -> None:
        with (
            html.form(autocomplete="off")
            .classes("card fields")
            .on("submit", on_submit, js_handler=SUBMIT)
        ):
            field(
                "Account",
                "account_id",
                hint="Its id, as its systems send it",
                required=True,
                maxlength=str(_LONGEST_ID),
            )
            Text("button", "Forget this account\N{HORIZONTAL ELLIPSIS}", "grave", type="submit")


def proposed(client: KeeperClient, held: Mapping[str, Any]) -> Proposal | None:
    """What the form asks for; None for no account. Nothing is looked up: that would tell whether it exists."""
    account_id = str(held.get("account_id", ""))[: _LONGEST_ID + 1]
    if not account_id:
        return None

    async def carry_out() -> str:
        return _done(await client.forget_account(account_id))

    return Proposal(
        "Forget this account for good?",
        _CONSEQUENCES,
        "Forget it for good",
        carry_out,
        again=account_id,
        again_name="The account's id once more",
    )


def _done(answer: ForgetAccountResponse) -> str:
    if not answer.found:
        return "There was nothing of this account."
    removed = ", ".join(
        (
            figures.count(answer.observations_removed, "observation", "observations"),
            figures.count(answer.enhancements_removed, "answer", "answers"),
            figures.count(answer.scripts_removed, "script", "scripts"),
        )
    )
    return (
        f"Forgotten: {removed} removed; {answer.patterns_recomputed:,} patterns counted anew, of which "
        f"{answer.patterns_unpublished:,} are no longer published; {answer.patterns_deleted:,} deleted. Audit event "
        f"{answer.audit_event_id}."
    )

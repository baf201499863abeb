"""Retiring a pattern or a script, and putting it back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from nicegui import html

from keeper_grpc.client import KeeperClient, KeeperClientError
from keeper_grpc.client.withdrawal_reasons import REASONS
from keeper_grpc.dashboard.look import figures
from keeper_grpc.dashboard.look.forms import SUBMIT, Choice, Handler, field
from keeper_grpc.dashboard.look.text import Text
from keeper_grpc.dashboard.sections.operator.confirm import Proposal
from keeper_grpc.gen.keeper.network.v1.admin_service_pb2 import WithdrawalReason

_NAMES: Final = {
    "harmful": "It does harm",
    "identifying": "It may identify somebody",
    "wrong": "It is wrong",
    "outdated": "It is no longer right",
    "other": "Another reason",
}

_DOINGS: Final = {
    "retire": "Retire the pattern",
    "restore": "Put the pattern back",
    "withdraw": "Withdraw one script",
    "unwithdraw": "Put one script back",
}

_LONGEST_SCRIPT: Final = 20_000
"""The API's own bound."""


class WithdrawForm:
    """Which pattern, what to do with it, and why."""

    def __init__(self, on_submit: Handler, pattern_id: str) -> None:
        with (
            html.form(autocomplete="off")
            .classes("card fields")
            .on("submit", on_submit, js_handler=SUBMIT)
        ):
            field(
                "Pattern's id",
                "pattern_id",
                value=pattern_id,
                hint="The end of its page's address",
                required=True,
                maxlength="36",
            )
            what = Choice("What to do", "doing", "retire")
            why = Choice("Why, for the audit log", "reason", "harmful")
            field(
                "The script, for one script only",
                "script",
                lines=2,
                hint="As its page shows it, to the letter",
                maxlength=str(_LONGEST_SCRIPT),
            )
            Text("button", "Look at it first", type="submit")
        what.show(_DOINGS)
        why.show({name: _NAMES.get(name, name) for name in REASONS})


async def proposed(client: KeeperClient, held: Mapping[str, Any]) -> Proposal:
    """What the form asks for, with who stands behind the pattern. Raises KeeperClientError."""
    pattern_id = str(held.get("pattern_id", "")).strip()
    doing = str(held.get("doing", "retire"))
    script = str(held.get("script", "")).strip()[: _LONGEST_SCRIPT + 1]
    reason = REASONS.get(str(held.get("reason", "")), WithdrawalReason.WITHDRAWAL_REASON_OTHER)
    support = await client.get_pattern_support(pattern_id)
    undo = doing in ("restore", "unwithdraw")
    one_script = doing in ("withdraw", "unwithdraw")

    async def carry_out() -> str:
        changed, event = False, ""
        why = WithdrawalReason.WITHDRAWAL_REASON_UNSPECIFIED if undo else reason
        if one_script:
            script_answer = await client.withdraw_script(pattern_id, script, why, undo=undo)
            changed, event = script_answer.changed, script_answer.audit_event_id
        else:
            answer = await client.retire_pattern(pattern_id, why, undo=undo)
            changed, event = answer.changed, answer.audit_event_id
        if not changed:
            return "It was so already; nothing was done."
        return f"{'Put back' if undo else 'Withdrawn'}. Audit event {event}."

    owners = figures.count(support.owner_count, "owner", "owners")
    accounts = figures.count(support.account_count, "account", "accounts")
    state = "is published now" if support.published else "is not published now"
    return Proposal(
        f"{_DOINGS.get(doing, _DOINGS['retire'])}: {await _action(client, pattern_id)}",
        [
            f"{owners} with {accounts} stand behind it, and it {state}.",
            *_consequences(undo=undo, one_script=one_script),
            "It can be undone here, and the audit log has who did it and when.",
        ],
        _DOINGS.get(doing, _DOINGS["retire"]),
        carry_out,
    )


def _consequences(*, undo: bool, one_script: bool) -> list[str]:
    what = "this wording" if one_script else "it"
    if undo:
        return [f"From now on {what} is shown and advised again, as far as its evidence allows."]
    return [
        f"From now on no account is shown {what} or advised by {what}, as if it did not exist.",
        "What accounts observe of it goes on being counted, so that nothing is lost.",
    ]


async def _action(client: KeeperClient, pattern_id: str) -> str:
    """What the pattern advises; its id where this operator may not read patterns, or it is not shown."""
    try:
        return (await client.get_pattern_history(pattern_id)).pattern.action
    except KeeperClientError:
        return pattern_id

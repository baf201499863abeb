"""`keeper retire`: takes a pattern, or one of its scripts, out of all advice, or puts it back."""

from __future__ import annotations

import argparse

from keeper_grpc.client import KeeperClient
from keeper_grpc.client.withdrawal_reasons import REASONS
from keeper_grpc.command.arguments import InsteadOf
from keeper_grpc.gen.keeper.network.v1.admin_service_pb2 import WithdrawalReason
from keeper_grpc.terminal.client_command import declare_client_command
from keeper_grpc.terminal.output.as_json import document, message_json


def declare(command: argparse.ArgumentParser) -> None:
    """Declare the command."""
    declare_client_command(command, _retire)
    command.add_argument("pattern", metavar="PATTERN", help="the pattern's id")
    command.add_argument(
        "--script", metavar="TEXT", help="only this script, as `keeper pattern` shows it"
    )
    reason = command.add_argument(
        "--reason", choices=sorted(REASONS), required=True, help="why, for the audit log"
    )
    command.add_argument(
        "--undo", action=InsteadOf, instead_of=reason, help="put it back, without a reason"
    )


async def _retire(client: KeeperClient, parsed: argparse.Namespace) -> None:
    reason = REASONS.get(parsed.reason, WithdrawalReason.WITHDRAWAL_REASON_UNSPECIFIED)
    if parsed.script is None:
        retired = await client.retire_pattern(parsed.pattern, reason, undo=parsed.undo)
        changed, event_id, answer = retired.changed, retired.audit_event_id, message_json(retired)
    else:
        withdrawn = await client.withdraw_script(
            parsed.pattern, parsed.script, reason, undo=parsed.undo
        )
        changed, event_id = withdrawn.changed, withdrawn.audit_event_id
        answer = message_json(withdrawn)
    if parsed.json:
        print(document(answer))
    elif changed:
        print(f"{'put back' if parsed.undo else 'withdrawn'}; audit event {event_id}")
    else:
        print("it was so already")

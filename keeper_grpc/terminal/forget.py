"""`keeper forget`: removes what came from an account."""

from __future__ import annotations

import argparse
import sys

from keeper_grpc.client import KeeperClient
from keeper_grpc.command.arguments import InsteadOf
from keeper_grpc.gen.keeper.network.v1.admin_service_pb2 import ForgetAccountResponse
from keeper_grpc.terminal.client_command import declare_client_command
from keeper_grpc.terminal.output.as_json import document, message_json


def declare(command: argparse.ArgumentParser) -> None:
    """Declare the command."""
    declare_client_command(command, _forget)
    account = command.add_argument("account", metavar="ACCOUNT", help="the account's id")
    again = command.add_argument(
        "--again",
        metavar="ACCOUNT",
        required=True,
        help="the same id once more, since this cannot be undone",
    )
    command.add_argument(
        "--yes", action=InsteadOf, instead_of=again, help="do without --again, in a script"
    )
    account.type = str


async def _forget(client: KeeperClient, parsed: argparse.Namespace) -> None:
    if not parsed.yes and parsed.again != parsed.account:
        print("keeper: --again names another account; nothing was done", file=sys.stderr)
        raise SystemExit(2)
    answer = await client.forget_account(parsed.account)
    print(document(message_json(answer)) if parsed.json else _forgotten(answer))


def _forgotten(answer: ForgetAccountResponse) -> str:
    if not answer.found:
        return "there was nothing of it"
    return (
        f"removed {answer.observations_removed:,} observations, {answer.enhancements_removed:,} enhancements, "
        f"{answer.sightings_removed:,} sightings and {answer.scripts_removed:,} scripts; "
        f"recomputed {answer.patterns_recomputed:,} patterns, of which {answer.patterns_unpublished:,} are no longer "
        f"published; deleted {answer.patterns_deleted:,}; audit event {answer.audit_event_id}"
    )

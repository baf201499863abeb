"""`keeper accounts` and `keeper forget`: what operators do to accounts."""

from __future__ import annotations

import argparse
import sys
from datetime import UTC, datetime

from keeper_grpc.client import KeeperClient
from keeper_grpc.command.arguments import InsteadOf
from keeper_grpc.gen.keeper.network.v1.admin_service_pb2 import (
    ForgetAccountResponse,
    RegisterAccountResponse,
)
from keeper_grpc.terminal.client_command import add_client_command
from keeper_grpc.terminal.output.as_json import document, message_json


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the commands."""
    accounts = commands.add_parser(
        "accounts",
        help="register an account, or correct its line of business or owner",
        description="Register an account, or correct its line of business or owner.",
    )
    verbs = accounts.add_subparsers(metavar="VERB", required=True)
    register = add_client_command(
        verbs, "register", "register an account and its line of business", _register
    )
    register.add_argument("account", metavar="ACCOUNT", help="the account's id")
    register.add_argument("category", metavar="CATEGORY", help="its line of business, as spa")
    register.add_argument(
        "--owner", default="", metavar="ID", help="whose it is, where one owner has several"
    )
    register.add_argument(
        "--joined", type=_date, metavar="DATE", help="when it became a customer, as 2026-03-01"
    )
    register.add_argument(
        "--return-forgotten",
        action="store_true",
        help="register it although it was forgotten lately",
    )
    update = add_client_command(verbs, "update", "correct what is known of an account", _update)
    update.add_argument("account", metavar="ACCOUNT", help="the account's id")
    update.add_argument("--category", help="its line of business")
    update.add_argument("--owner", metavar="ID", help="whose it is; '' makes it its own owner")
    forget = add_client_command(
        commands, "forget", "remove everything that came from an account", _forget
    )
    account = forget.add_argument("account", metavar="ACCOUNT", help="the account's id")
    again = forget.add_argument(
        "--again",
        metavar="ACCOUNT",
        required=True,
        help="the same id once more, since this cannot be undone",
    )
    forget.add_argument(
        "--yes", action=InsteadOf, instead_of=again, help="do without --again, in a script"
    )
    account.type = str


async def _register(client: KeeperClient, parsed: argparse.Namespace) -> None:
    created = await client.register_account(
        parsed.account,
        parsed.category,
        joined_time=parsed.joined,
        owner_id=parsed.owner,
        return_forgotten=parsed.return_forgotten,
    )
    if parsed.json:
        print(document(message_json(RegisterAccountResponse(created=created))))
    else:
        print("registered" if created else "it was registered already")


async def _update(client: KeeperClient, parsed: argparse.Namespace) -> None:
    answer = await client.update_account(
        parsed.account, business_category=parsed.category, owner_id=parsed.owner
    )
    if parsed.json:
        print(document(message_json(answer)))
    elif answer.changed:
        print(f"changed; audit event {answer.audit_event_id}")
    else:
        print("it was so already")


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


def _date(text: str) -> datetime:
    try:
        return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a date, as 2026-03-01") from None

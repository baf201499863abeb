"""`keeper accounts`: registers accounts, and corrects what is known of them."""

from __future__ import annotations

import argparse
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

from keeper_grpc.client import KeeperClient
from keeper_grpc.gen.keeper.network.v1.admin_service_pb2 import RegisterAccountResponse
from keeper_grpc.terminal.client_command import declare_client_command
from keeper_grpc.terminal.output.as_json import document, message_json


def declare(command: argparse.ArgumentParser) -> None:
    """Declare the command."""
    command.description = "Register an account, or correct its line of business or owner."
    verbs = command.add_subparsers(metavar="VERB", required=True)
    register = _verb(verbs, "register", "register an account and its line of business", _register)
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
    update = _verb(verbs, "update", "correct what is known of an account", _update)
    update.add_argument("account", metavar="ACCOUNT", help="the account's id")
    update.add_argument("--category", help="its line of business")
    update.add_argument("--owner", metavar="ID", help="whose it is; '' makes it its own owner")


def _verb(
    verbs: argparse._SubParsersAction[argparse.ArgumentParser],
    name: str,
    summary: str,
    ask: Callable[[KeeperClient, argparse.Namespace], Awaitable[None]],
) -> argparse.ArgumentParser:
    """Declare `keeper accounts name`."""
    command = verbs.add_parser(name, help=summary, description=summary)
    declare_client_command(command, ask)
    return command


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


def _date(text: str) -> datetime:
    try:
        return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a date, as 2026-03-01") from None

"""`keeper accounts`, `forget`, `retire` and `audit`, against a running server."""

from __future__ import annotations

import json

import pytest

from tests.e2e.commands.running import keeper
from tests.e2e.commands.test_terminal import ABSENT, publish
from tests.e2e.server_process import ServerProcess


def said(*arguments: str) -> str:
    """What a command that succeeds prints."""
    done = keeper(*arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


async def test_an_account_is_registered_corrected_and_forgotten(server: ServerProcess) -> None:
    """Each step says what it changed, once; what operators did is listed without the account."""
    at, account = ("--target", server.address), "acct-of-commands"
    register = ("accounts", "register", account, "spa", "--owner", "owner-1", *at)
    assert said(*register, "--joined", "2026-03-01") == "registered"
    assert said(*register, "--joined", "2026-03-01") == "it was registered already"
    update = ("accounts", "update", account, "--category", "salon", *at)
    assert said(*update).startswith("changed; audit event ")
    assert said(*update) == "it was so already"

    other = keeper("forget", account, "--again", "acct-of-command", *at)
    assert (other.returncode, "nothing was done" in other.stderr) == (2, True)
    assert said("forget", account, "--again", account, *at).startswith("removed 0 observations")
    assert json.loads(said("forget", account, "--yes", "--json", *at))["found"] is False
    refused = keeper("accounts", "register", account, "spa", *at)
    assert (refused.returncode, "ACCOUNT_FORGOTTEN" in refused.stderr) == (1, True)

    newest = said("audit", "--limit", "2", *at)
    assert "forget_account" in newest
    assert "by unauthenticated" in newest
    assert account not in said("audit", *at)
    (line,) = said("audit", "--limit", "1", "--json", *at).splitlines()
    assert json.loads(line)["action"] == "forget_account"


async def test_a_pattern_is_withdrawn_and_put_back(server: ServerProcess) -> None:
    """Nobody sees it any more until that is undone; the reason is in the audit log."""
    at = ("--target", server.address)
    pattern = await publish(server, "withdrawn_towels")

    retired = said("retire", pattern, "--reason", "outdated", *at)
    assert retired.startswith("withdrawn; audit event ")
    assert said("retire", pattern, "--reason", "outdated", *at) == "it was so already"
    assert keeper("pattern", pattern, *at).returncode == 1
    assert f"pattern {pattern} outdated" in said("audit", "--limit", "1", *at)

    assert said("retire", pattern, "--undo", *at).startswith("put back; audit event ")
    assert said("retire", pattern, "--undo", *at) == "it was so already"
    assert keeper("pattern", pattern, *at).returncode == 0


async def test_a_script_is_withdrawn(server: ServerProcess) -> None:
    """The pattern stays without its words, and a pattern that is not there is named as missing."""
    at = ("--target", server.address)
    pattern = await publish(server, "withdrawn_words")
    (script,) = json.loads(said("pattern", pattern, "--json", *at))["scripts"]

    withdraw = ("retire", pattern, "--script", script["template"])
    assert said(*withdraw, "--reason", "identifying", *at).startswith("withdrawn; audit event ")
    assert said(*withdraw, "--reason", "identifying", *at) == "it was so already"
    shown = json.loads(said("pattern", pattern, "--json", *at))
    assert not shown.get("scripts")
    assert script["template"] not in said("audit", *at)
    assert said(*withdraw, "--undo", *at).startswith("put back; audit event ")

    missing = keeper("retire", ABSENT, "--reason", "outdated", *at)
    assert (missing.returncode, "PATTERN_NOT_FOUND" in missing.stderr) == (1, True)


@pytest.mark.parametrize(
    "arguments",
    [
        ("retire", ABSENT),
        ("retire", ABSENT, "--reason", "boredom"),
        ("forget", "acct"),
        ("accounts",),
        ("accounts", "register", "acct"),
        ("accounts", "register", "acct", "spa", "--joined", "yesterday"),
        ("audit", "--limit", "0"),
    ],
)
def test_a_command_that_is_incomplete_asks_no_server(arguments: tuple[str, ...]) -> None:
    """The exit code of wrong arguments, and what is missing."""
    done = keeper(*arguments, "--target", "127.0.0.1:1")
    assert done.returncode == 2
    assert "usage: keeper" in done.stderr

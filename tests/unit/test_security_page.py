from __future__ import annotations

import re
from pathlib import Path

from grpc import StatusCode

from keeper_grpc.domain import errors
from keeper_grpc.rpc.permissions import PERMISSIONS, Reach
from keeper_grpc.rpc.status import _TABLE

PAGE = Path(__file__).parents[2] / "docs" / "security.md"

SPEAKS_FOR = {
    Reach.ACCOUNT: "the account of the request",
    Reach.PUBLISHED: "nobody: what is published",
    Reach.NETWORK: "all accounts",
}


def rows(heading: str) -> list[list[str]]:
    """The cells of a section's tables."""
    section = PAGE.read_text().partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]


def test_the_page_has_every_permission() -> None:
    """Role, call and whom it speaks for, as the server's table has them."""
    written = {
        (rpc, role.strip("`"), speaks)
        for role, calls, speaks, *_ in (row for row in rows("Roles") if len(row) == 3)
        for rpc in re.findall(r"\b[A-Z]\w+", calls)
        if role.startswith("`")
    }
    expected = {
        (method.rpartition("/")[2], permission.role.value, SPEAKS_FOR[permission.reach])
        for method, permission in PERMISSIONS.items()
    }
    assert {(rpc, role, speaks.partition(" (")[0]) for rpc, role, speaks in written} == expected


def test_the_page_has_every_refusal() -> None:
    """With its code."""
    ours = (errors.Unauthenticated, errors.PermissionDenied, errors.LimitExceeded)
    expected = {
        (reason, code.name)
        for kind, code, reason in _TABLE
        if issubclass(kind, (*ours, errors.KeysUnavailable))
    }
    written = {
        (reason, code)
        for reasons, code, *_ in rows("Roles")
        for reason in reasons.split(", ")
        if code in StatusCode.__members__
    }
    assert written == expected

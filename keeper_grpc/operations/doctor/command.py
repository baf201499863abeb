"""`keeper doctor`."""

from __future__ import annotations

import argparse
import asyncio
import json
from typing import TYPE_CHECKING

from keeper_grpc.logged_settings import read_settings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from keeper_grpc.operations.doctor.finding import Finding


def declare(command: argparse.ArgumentParser) -> None:
    """Declare the command."""
    command.set_defaults(run=_doctor)
    command.description = (
        "Look at the settings, the keys, the disk, the database, the model and the server of this host, and say what is "
        "wrong and what to do. Changes nothing. Exit code 0: no problem; 1: at least one."
    )
    command.add_argument("--json", action="store_true", help="findings for a program to read")


def _doctor(parsed: argparse.Namespace) -> int:
    from keeper_grpc.operations.doctor.finding import Verdict
    from keeper_grpc.operations.doctor.look import worst

    findings = _findings()
    if parsed.json:
        print(
            json.dumps(
                {
                    "verdict": worst(findings),
                    "findings": [
                        {
                            "check": each.check,
                            "verdict": each.verdict,
                            "found": each.found,
                            "cure": each.cure,
                        }
                        for each in findings
                    ],
                },
                indent=2,
            )
        )
    else:
        _print_table(findings)
    return 1 if worst(findings) is Verdict.PROBLEM else 0


def _findings() -> Sequence[Finding]:
    from keeper_grpc.operations.doctor.finding import problem
    from keeper_grpc.operations.doctor.look import examine
    from keeper_grpc.settings import SettingsInvalid

    try:
        settings = read_settings()
    except SettingsInvalid as error:
        return [
            problem("settings", line, "correct it: docs/operations.md has the table of settings")
            for line in str(error).splitlines()
        ]
    return asyncio.run(examine(settings))


def _print_table(findings: Sequence[Finding]) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from keeper_grpc.operations.doctor.finding import Verdict

    colours = {
        Verdict.OK: "green",
        Verdict.WARNING: "yellow",
        Verdict.PROBLEM: "bold red",
        Verdict.UNKNOWN: "dim",
    }
    table = Table("check", "", "found", box=None, pad_edge=False)
    for each in findings:
        # No markup: an error may hold brackets.
        found = escape(each.found) + (f"\n[italic]-> {escape(each.cure)}[/]" if each.cure else "")
        table.add_row(each.check, f"[{colours[each.verdict]}]{each.verdict}[/]", found)
    Console().print(table)

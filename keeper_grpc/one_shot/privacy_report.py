"""`keeper privacy-report`."""

from __future__ import annotations

import argparse
import json

from rich.console import Console


def declare(command: argparse.ArgumentParser) -> None:
    """Declare the command."""
    command.set_defaults(run=_privacy_report)
    command.add_argument(
        "--split",
        choices=("tuning", "held-out", "all"),
        default="all",
        help="the half that the rules were tuned on, the held-out half, or both (%(default)s)",
    )
    command.add_argument("--json", action="store_true", help="figures for a program to read")


def _privacy_report(parsed: argparse.Namespace) -> int:
    from keeper_grpc.privacy.evaluation.report import figures, privacy_report, render

    report = privacy_report(parsed.split.replace("-", "_"))
    if parsed.json:
        print(json.dumps(figures(report), indent=2))
    else:
        Console().print(render(report))
    return 0

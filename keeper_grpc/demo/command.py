"""`keeper demo`."""

from __future__ import annotations

import argparse
from pathlib import Path


def declare(command: argparse.ArgumentParser) -> None:
    """Declare the command."""
    command.set_defaults(run=_demo)
    command.add_argument(
        "--examples", type=Path, help="directory of other sample data; unset is this release's own"
    )
    command.add_argument(
        "--stay", action="store_true", help="then show it on a dashboard until Ctrl-C"
    )


def _demo(parsed: argparse.Namespace) -> int:
    from keeper_grpc.demo.history import sample_data
    from keeper_grpc.demo.play import demo

    return demo(parsed.examples or sample_data(), stay=parsed.stay)

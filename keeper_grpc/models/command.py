"""`keeper reembed`."""

from __future__ import annotations

import argparse
import asyncio

from keeper_grpc.logged_settings import read_settings


def declare(command: argparse.ArgumentParser) -> None:
    """Declare the command."""
    command.set_defaults(run=_reembed)
    command.description = (
        "Move every pattern, sighting and cached vector to another embedding model, while the servers go on "
        "(docs/models.md). Run it again to go on after an interruption: nothing is lost or done twice."
    )
    command.add_argument(
        "--to",
        choices=("local", "minilm", "openai"),
        help="the model to move to (default: the one that KEEPER_EMBEDDER names)",
    )
    command.add_argument(
        "--force",
        action="store_true",
        help="switch although a server could not follow: it stops, and starts with the new model's settings",
    )
    command.add_argument(
        "--cancel", action="store_true", help="give up a move that has not switched yet"
    )


def _reembed(parsed: argparse.Namespace) -> int:
    settings = read_settings()
    from keeper_grpc.models import reembed

    if parsed.cancel:
        stays = asyncio.run(reembed.cancel(settings))
        print(
            "no move is under way" if stays is None else f"cancelled: the network stays in {stays}"
        )
        return 0
    from keeper_grpc.models.progress import shown_progress

    with shown_progress() as progress:
        model, moved = asyncio.run(
            reembed.reembed(settings, parsed.to, progress, force=parsed.force)
        )
    print(
        f"the network is in {model}: {moved.patterns} patterns and {moved.sightings} sightings moved, "
        f"{moved.merged} patterns merged into others"
    )
    return 0

"""`keeper words`."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Sequence

from keeper_grpc.logged_settings import read_settings
from keeper_grpc.settings import Settings


def declare(command: argparse.ArgumentParser) -> None:
    """Declare the command."""
    command.set_defaults(run=_words)
    command.add_argument(
        "decision", nargs="?", choices=("approve", "reject"), help="leave it out to list them"
    )
    command.add_argument("hashes", nargs="*", metavar="HASH", help="words, as the list names them")


def _words(parsed: argparse.Namespace) -> int:
    if parsed.decision and not parsed.hashes:
        print(f"keeper words {parsed.decision}: name a HASH of keeper words", file=sys.stderr)
        return 2
    settings = read_settings()
    return asyncio.run(_review(settings, parsed.decision, parsed.hashes))


async def _review(settings: Settings, decision: str | None, hashes: Sequence[str]) -> int:
    from keeper_grpc.local_operator import local_operator
    from keeper_grpc.one_shot.commands import word_review

    async with word_review(settings) as review:
        if decision is not None:
            unknown = [
                each
                for each in hashes
                if not await review.decide(
                    each, approved=decision == "approve", actor=local_operator()
                )
            ]
            for each in unknown:
                print(f"keeper: no account uses a word of this hash: {each}", file=sys.stderr)
            return 1 if unknown else 0
        listed = await review.listed()
        for use in listed:
            # A hash is to be copied whole: no table that folds it.
            print(
                f"{use.standing.value:<9} {use.owners:>4} owners {use.accounts:>5} accounts"
                f"  since {use.first_used} {use.letters or '?':>4} letters  {use.word_hash}  {use.context or '(no shared context)'}"
            )
        if not listed:
            print("no word is used by nearly enough owners")
    return 0

"""`keeper tokens hash`: the entry of a service token for the file of identities."""

from __future__ import annotations

import argparse
import hashlib
import os
import secrets
import sys
from pathlib import Path

PREFIX = "keeper_"
"""Of tokens that are made here: scanners for leaked secrets can look for it."""

BYTES = 32
"""Random bytes of a token: nobody guesses it, so that its hash needs no salt and no stretching."""

LEAST = 20
"""Characters of a token that somebody else has made: a shorter one may be a password, which can be guessed."""


def declare(command: argparse.ArgumentParser) -> None:
    """Declare the command."""
    command.set_defaults(run=_tokens)
    command.description = (
        "Print the entry that lets a service token in, for the file that KEEPER_IDENTITIES_FILE names. "
        "The token is read from standard input, or made with --new and written to a file of its own: "
        "it never is an argument, and is never printed."
    )
    command.add_argument("action", choices=("hash",), help="print the entry of a token")
    command.add_argument(
        "--new", type=Path, metavar="FILE", help="make a token, and write it to this new file"
    )


def _tokens(parsed: argparse.Namespace) -> int:
    if parsed.new is not None:
        token = PREFIX + secrets.token_urlsafe(BYTES)
        try:
            _write(parsed.new, token)
        except OSError as error:
            return _failed(f"cannot write {parsed.new}: {error.strerror}")
    else:
        token = sys.stdin.readline().strip()
        if len(token) < LEAST or not (token.isascii() and token.isprintable()) or " " in token:
            return _failed(
                f"no token on standard input: at least {LEAST} printable ASCII characters, without blanks"
            )
    print(f"- sha256: {hashlib.sha256(token.encode()).hexdigest()}")
    return 0


def _write(path: Path, token: str) -> None:
    """For its owner only; a file that is there may be a token in use, and stays."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(f"{token}\n")


def _failed(reason: str) -> int:
    print(f"keeper tokens: {reason}", file=sys.stderr)
    return 1

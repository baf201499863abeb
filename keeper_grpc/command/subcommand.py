"""How a command of `keeper` is declared."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import import_module

from keeper_grpc.command.parser import CommandParser


@dataclass(frozen=True, slots=True)
class Subcommand:
    """`keeper name`, and the module whose `declare(parser)` adds its arguments and sets what it `run`s.

    `run` gets the arguments and returns the exit code.
    """

    name: str
    summary: str
    module: str

    def declare(self, parser: argparse.ArgumentParser) -> None:
        """Import the module, and let it declare the command."""
        import_module(self.module).declare(parser)


def add_subcommands(parser: argparse.ArgumentParser, subcommands: Iterable[Subcommand]) -> None:
    """Let the parser choose among the commands. Of these only the one that is chosen imports its module."""
    choices = parser.add_subparsers(dest="command", required=True, parser_class=CommandParser)
    for each in subcommands:
        command = choices.add_parser(each.name, help=each.summary, description=each.summary)
        command.declared_by(each.declare)

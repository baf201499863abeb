"""An argument parser that answers a typo with the nearest command, choice or option."""

from __future__ import annotations

import argparse
import difflib
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NoReturn


class CommandParser(argparse.ArgumentParser):
    """argparse's own, with a hint for misspelt commands, choices and options.

    From Python 3.14 on argparse gives a hint for commands and choices itself, but none for options.
    """

    _given: Sequence[str] = ()
    _declare: Callable[[argparse.ArgumentParser], None] | None = None

    def declared_by(self, declare: Callable[[argparse.ArgumentParser], None]) -> None:
        """Let `declare` add the arguments when this parser is about to parse some: of a command, when it is chosen."""
        self._declare = declare

    # argparse's own hook for invalid choices, private in every version.
    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is None or value in action.choices:
            return
        choices = list(action.choices)
        hint = _hint(value, choices) or f" (choose from {', '.join(map(str, choices))})"
        raise argparse.ArgumentError(action, f"invalid choice: {value!r}{hint}")

    def parse_known_args(  # type: ignore[override]  # the overloads differ in `namespace` only
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> tuple[argparse.Namespace, list[str]]:
        """Parse; what is left over ends here, in the parser that knows its options."""
        if self._declare is not None:
            declare, self._declare = self._declare, None
            declare(self)
        self._given = list(sys.argv[1:] if args is None else args)
        parsed, left = super().parse_known_args(args, namespace)
        if left:
            self.error(f"unrecognized arguments: {' '.join(left)}")
        return parsed, left

    def error(self, message: str) -> NoReturn:
        """Exit with 2, after the message and the option that a misspelt one is like."""
        super().error(f"{message}{self._hint_of_an_option()}")

    def _hint_of_an_option(self) -> str:
        """Also where argparse says only that another argument is missing: `import f --mappign m`."""
        known = [
            option
            for option in self._option_string_actions
            if option.startswith("--")  # a single letter is like every other
        ]
        given = [word.partition("=")[0] for word in self._given if word.startswith("--")]
        # A beginning that is enough to know the option is no typo.
        typos = [word for word in given if not any(option.startswith(word) for option in known)]
        return next(filter(None, (_hint(typo, known) for typo in typos)), "")


def _hint(word: object, choices: Iterable[object]) -> str:
    """`, did you mean X?`, or nothing where no choice is like the word."""
    similar = difflib.get_close_matches(str(word), [str(choice) for choice in choices], n=1)
    return f", did you mean {similar[0]}?" if similar else ""

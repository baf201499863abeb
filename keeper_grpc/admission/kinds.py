"""The kinds of work that a process admits, and how each is bounded."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass


class Kind(enum.Enum):
    """A kind of work. Each has a queue of its own, so that none waits behind another."""

    QUESTION = "question"
    """Of a call: what to do about an insight, or in a situation."""
    STREAM_QUESTION = "stream_question"
    """The same, of a stream, whose caller is held back by not reading on."""
    WRITE = "write"
    """Captures, outcomes, reactions."""
    READ = "read"
    """One pattern, or a list of them."""
    REPORT = "report"
    """The metrics of a window, of the network or of one account. Each keeps a core of the database busy."""
    OPERATION = "operation"
    """An operator's."""


@dataclass(frozen=True, slots=True)
class Lane:
    """How one kind is bounded.

    `at_most` pieces of work are in progress, whatever the load. Those of a kind that `adapts` count together for the
    limit that follows the load. A kind that `yields` keeps to that limit as soon as there is other work. Where
    failures are `shared`, those that wait for a turn fail with the one in turn, when that fails by such an error.
    """

    at_most: int
    adapts: bool = True
    yields: bool = False
    shared: tuple[type[BaseException], ...] = ()


def lanes(shared_failures: tuple[type[BaseException], ...] = ()) -> Mapping[Kind, Lane]:
    """The bounds of a process. They count pieces of work, so they are the same on a fast machine and a slow one.

    `shared_failures` are those that would meet the next report as well, such as a database that does not answer.
    """
    return {
        # Callers that wait for their answers before they ask again are seldom more.
        Kind.QUESTION: Lane(at_most=32),
        # As many as groups of records gain from; more would only stand before the next call.
        Kind.STREAM_QUESTION: Lane(at_most=16, yields=True),
        # The scopes' writers take groups of 64.
        Kind.WRITE: Lane(at_most=128),
        Kind.READ: Lane(at_most=64),
        Kind.REPORT: Lane(at_most=2, adapts=False, shared=shared_failures),
        Kind.OPERATION: Lane(at_most=64, adapts=False),
    }

"""Why a network cannot be moved. The messages are for the operator; nothing was lost by any of them.

MoveError
+- SameDatabase         both DSNs lead to one database
+- MoveBusy             another `keeper move` is at one of the two
+- RightMissing         the role may not do what a move does
+- SchemaDiffers        the two databases are not at one and the same schema
+- TargetNotEmpty       the target holds accounts and evidence, or another move's copy
+- TargetFull           the target's disk is full
+- MoveElsewhere        the source is being moved, or was, to another target
+- NothingToCancel      no move is under way, or it is done
+- ChangesUnnoted       tables that servers write to without the move knowing of it
+- SessionsRemain       sessions that could still write outlived the fence
+- LedgerWrong          the evidence is not what the ledger says
+- CopyDiffers          the target does not hold what the source holds
+- PauseTooLong         the switch took longer than writes may be paused
+- ConnectionGone       a connection was lost
+- TablesLocked         a table stayed locked by another session
+- UnfencedNot          the switch failed, and the source could not be opened again
"""

from __future__ import annotations

from collections.abc import Sequence

from keeper_grpc.operator_error import OperatorError


class MoveError(OperatorError):
    """Base of the errors of moves."""


class SameDatabase(MoveError):
    """There is nothing to move."""

    def __init__(self) -> None:
        super().__init__("--to names the database that the network is in already")


class MoveBusy(MoveError):
    """One command moves at a time."""

    def __init__(self, side: str) -> None:
        super().__init__(f"another keeper move is at work on the {side}: wait for it, or end it")


class RightMissing(MoveError):
    """A move makes triggers and a schema of its own, and closes the database: what only owners may do."""

    def __init__(self, side: str, role: str, right: str) -> None:
        super().__init__(f"the {side}'s role {role} {right}: name the owner in the DSN")


class SchemaDiffers(MoveError):
    """Tables with other columns cannot be copied into each other."""


class TargetNotEmpty(MoveError):
    """A move replaces everything in its target."""


class TargetFull(MoveError):
    """The target has no room."""

    def __init__(self) -> None:
        super().__init__(
            "the target's disk is full, or the source's, where calls would fail too: make room and run the same command "
            "again, it goes on where it was"
        )


class MoveElsewhere(MoveError):
    """What was noted of the source's changes belongs to another copy."""


class NothingToCancel(MoveError):
    """The source takes part in no move that could be given up."""


class ChangesUnnoted(MoveError):
    """Changes of these tables did not reach the target."""

    def __init__(self, tables: Sequence[str]) -> None:
        super().__init__(
            f"the source's tables {', '.join(tables)} lost the triggers of this move, as after a restore: "
            "give it up (--cancel) and move again, with --overwrite"
        )


class SessionsRemain(MoveError):
    """Somebody might write to the source after the switch."""


class LedgerWrong(MoveError):
    """What was counted and what the ledger says differ."""

    def __init__(self, side: str, wrong: int) -> None:
        super().__init__(
            f"the evidence of {wrong} accounts in patterns is not what the {side}'s ledger says: "
            "run keeper rebuild with the servers stopped, then move"
        )


class CopyDiffers(MoveError):
    """Rows are missing, doubled or other ones."""

    def __init__(self, tables: Sequence[str]) -> None:
        super().__init__(
            f"the target differs from the source in {', '.join(tables)}; nothing was switched: "
            "give the move up (--cancel), move again with --overwrite, and report it"
        )


class PauseTooLong(MoveError):
    """The network must not stand still for longer than was said."""

    def __init__(self, seconds: float) -> None:
        super().__init__(
            f"the switch took longer than {seconds:g} seconds and was undone, the servers go on: run the same command "
            "again in a quieter hour, or with a longer --max-pause"
        )


class TablesLocked(MoveError):
    """Others hold a lock that a move needs for a moment."""

    def __init__(self) -> None:
        super().__init__(
            "a table of the source stayed locked by other sessions: run the same command again, or end the oldest "
            "transactions in pg_stat_activity"
        )


class ConnectionGone(MoveError):
    """One of the two does not answer any more."""

    def __init__(self, reason: str) -> None:
        super().__init__(
            f"a connection was lost ({reason}): run the same command again, it goes on where it was"
        )


class UnfencedNot(MoveError):
    """The source still refuses writes."""

    def __init__(self, reason: str) -> None:
        super().__init__(
            f"{reason}; and the source could not be opened again: run keeper move --cancel, or the same command again, "
            "as soon as it answers"
        )

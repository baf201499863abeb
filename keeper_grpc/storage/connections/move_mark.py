"""The mark that `keeper move` leaves in the two databases of a move, which every server reads before it uses one.

It is a row of a table in a schema of its own. A database that is marked so and must not be written to is read-only by
default as well, so that also servers of a release that does not know the mark keep away.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

SCHEMA: Final = "keeper_move"
"""What a move adds to a database is in it, and goes with it."""


class Phase(StrEnum):
    """What a database is in a move."""

    LEAVING = "leaving"
    """It serves, and is being copied."""
    SWITCHING = "switching"
    """It takes no writes until the switch is done or undone: seconds."""
    MOVED = "moved"
    """It is not the network any more, and never takes a write."""
    ARRIVING = "arriving"
    """It is a copy that is not complete yet."""


async def phase_of(connection: Any) -> Phase | None:
    """What this database is in a move; None where it takes part in none."""
    mark = await mark_of(connection)
    return None if mark is None else Phase(mark["phase"])


async def mark_of(connection: Any) -> Mapping[str, Any] | None:
    """The mark with the id of its move, if there is one."""
    if await connection.fetchval("SELECT to_regclass($1)", f"{SCHEMA}.mark") is None:
        return None
    mark: Mapping[str, Any] | None = await connection.fetchrow(
        f"SELECT move, phase FROM {SCHEMA}.mark"  # noqa: S608 - a constant
    )
    return mark

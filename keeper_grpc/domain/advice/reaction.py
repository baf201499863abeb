"""What an account did with a piece of advice."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from uuid import UUID

from keeper_grpc.domain.errors import AlreadyDone


class Reaction(Enum):
    """How far a piece of advice came: each but SHOWN implies that it was shown."""

    SHOWN = "shown"
    ACCEPTED = "accepted"
    DISMISSED = "dismissed"
    DONE = "done"


class DismissalReason(Enum):
    """Why advice was dismissed."""

    NOT_RELEVANT = "not_relevant"
    DOES_NOT_FIT = "does_not_fit"
    ALREADY_DONE = "already_done"
    NO_CAPACITY = "no_capacity"
    TOO_COSTLY = "too_costly"
    TOO_LATE = "too_late"
    NOT_CONVINCED = "not_convinced"
    INAPPROPRIATE = "inappropriate"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class ReportedReaction:
    """One report of a reaction: a line of the ledger of reactions. `reason` is of a dismissal."""

    account_key: str
    request_id: UUID
    fingerprint: bytes
    enhancement_id: UUID
    reaction: Reaction
    reason: DismissalReason | None
    recorded_time: datetime


@dataclass(frozen=True, slots=True)
class GivenAdvice:
    """An enhancement as far as it can be reacted to, with the reaction that stands.

    `followed` says that an outcome of it was reported and counts for the advice.
    """

    advised: bool
    reaction: Reaction | None
    followed: bool = False


def replaces(given: GivenAdvice, reported: Reaction) -> bool:
    """Whether a reported reaction takes the place of the one that stands.

    To accept and to dismiss replace each other, since people change their minds. To have shown it adds
    nothing to anything else, and nothing adds to what is done. Raises AlreadyDone when what is done is to
    be dismissed: also where its outcome says so, which counts for the advice.
    """
    standing = given.reaction
    if reported is Reaction.DISMISSED and given.followed:
        raise AlreadyDone
    if standing is Reaction.DONE:
        if reported is Reaction.DISMISSED:
            raise AlreadyDone
        return False
    return standing is None or reported is not Reaction.SHOWN

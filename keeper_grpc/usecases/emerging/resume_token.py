"""Resume tokens: the position of a subscriber, for any process of the same database.

    v2.<epoch>.<filter>.<sequence>.<tag>             after this event
    v2.<epoch>.<filter>.<sequence>.<tag>.<judged>    the same, with the filter's window judged then
    v2.<epoch>.<filter>.snapshot                     within a snapshot, from which only a new one can follow

`epoch` (32 hexadecimal digits) is the database's history, `filter` (16) a digest of the filter, `tag` (32)
the event's own: in a restored database another event may have its number. `judged` is in microseconds since
1970.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from uuid import UUID

from keeper_grpc.domain.emerging.model import FeedFilter, Place
from keeper_grpc.domain.emerging.view import TICK, Position
from keeper_grpc.domain.errors import ResumeTokenInvalid

_TOKEN = re.compile(
    r"v2\.(?P<epoch>[0-9a-f]{32})\.(?P<filter>[0-9a-f]{16})\."
    r"(?:snapshot|"
    r"(?P<sequence>[0-9]{1,18})\.(?P<tag>[0-9a-f]{32})(?:\.(?P<judged>[0-9]{1,16}))?)",
)
_OTHER_VERSION = re.compile(r"v(?!2\.)[0-9]{1,4}\.[0-9a-f]{32}\.[0-9a-f]{16}\.[0-9a-z.]+")
_START = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Stream:
    """The validity of a token: one history, seen through one filter."""

    epoch: UUID
    filter_digest: str

    @classmethod
    def of(cls, epoch: UUID, wanted: FeedFilter) -> Stream:
        """The stream of a history through a filter.

        Fields at their defaults are left out, so that a new one does not void every token.
        """
        said = [
            (field.name, value)
            for field in fields(wanted)
            if (value := getattr(wanted, field.name)) != field.default
        ]
        return cls(epoch, hashlib.blake2b(repr(said).encode(), digest_size=8).hexdigest())


@dataclass(frozen=True, slots=True)
class Token:
    """A token that was read. `position` is None within a snapshot.

    `stream` is None in a token that another version of this program wrote: a new snapshot follows.
    """

    stream: Stream | None
    position: Position | None


def write_token(stream: Stream, position: Position | None) -> str:
    """The token of a position; None is within a snapshot."""
    if position is None:
        place = "snapshot"
    else:
        place = f"{position.place.sequence}.{position.place.tag.hex}"
        if position.judged is not None:
            place += f".{(position.judged - _START) // TICK}"
    return f"v2.{stream.epoch.hex}.{stream.filter_digest}.{place}"


def read_token(token: str) -> Token | None:
    """The token's meaning, None for an empty one. Raises ResumeTokenInvalid."""
    if not token:
        return None
    if _OTHER_VERSION.fullmatch(token):
        return Token(None, None)
    match = _TOKEN.fullmatch(token)
    if match is None:
        raise ResumeTokenInvalid
    stream = Stream(UUID(hex=match["epoch"]), match["filter"])
    if match["sequence"] is None:
        return Token(stream, None)
    judged = _START + int(match["judged"]) * TICK if match["judged"] else None
    place = Place(int(match["sequence"]), UUID(hex=match["tag"]))
    return Token(stream, Position(place, judged))

"""The types that settings have: what each takes from text, and its bounds."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr
from pydantic_core import PydanticCustomError, PydanticUseDefault
from pydantic_settings import NoDecode

from keeper_grpc.environment import is_service_address

LONGEST = timedelta(days=36_500)
"""Of every duration: one that means "never", with which times before and after now are still dates."""

_ORIGIN = re.compile(r"https?://([a-z0-9.-]+|\[[0-9a-f:]+\])(:[0-9]{1,5})?")


def _seconds(value: object) -> object:
    """Plain numbers are seconds: `KEEPER_DRAIN_GRACE=10`."""
    if isinstance(value, str):
        try:
            return timedelta(seconds=float(value))
        except ValueError:
            return value
        except OverflowError:
            return LONGEST + timedelta.resolution
    return value


def _duration(
    longest: timedelta, *, zero: bool = False, shortest: timedelta = timedelta(0)
) -> AfterValidator:
    """From `shortest` up to `longest`; nothing at all only with `zero`."""

    def check(value: timedelta) -> timedelta:
        if value < timedelta(0) or (not value and not zero):
            least = "at least" if zero else "more than"
            raise PydanticCustomError("too_short", "must be {least} 0 seconds", {"least": least})
        if value < shortest:
            raise PydanticCustomError(
                "too_short", "must be at least {days} days", {"days": shortest.days}
            )
        if value > longest:
            raise PydanticCustomError(
                "too_long", "must be at most {days} days", {"days": longest.days}
            )
        return value

    return AfterValidator(check)


def _unless_of_a_service(value: object) -> object:
    """Kubernetes sets `KEEPER_PORT=tcp://10.96.0.12:50051` where a Service is called `keeper`."""
    if isinstance(value, str) and is_service_address(value):
        raise PydanticUseDefault
    return value


def not_empty(value: object) -> object:
    """An empty path would be the working directory, an empty address every one, an empty DSN libpq's."""
    if isinstance(value, str) and not value.strip():
        raise PydanticCustomError("empty", "must not be empty; unset it for the default")
    return value


def _text(value: object) -> object:
    """Bytes of the environment that are not UTF-8 come as surrogates, which no database or socket takes."""
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError:
            raise PydanticCustomError("not_text", "must be text in UTF-8") from None
    return value


def stripped(value: object) -> object:
    """Without the space around it."""
    return value.strip() if isinstance(value, str) else value


def _address(value: object) -> object:
    """Host and port of `127.0.0.1:8081` or `[::1]:8081`."""
    if not isinstance(value, str):
        return value
    host, colon, port = value.strip().rpartition(":")
    bare = host.startswith("[") == host.endswith("]") and (host.startswith("[") or ":" not in host)
    if not (colon and host.strip("[]") and bare and port.isascii() and port.isdigit()):
        raise PydanticCustomError("not_an_address", "must be host:port, as 127.0.0.1:8081")
    return host.strip("[]"), int(port)


def listed(value: object) -> object:
    """The parts of a list with commas."""
    if isinstance(value, str):
        return tuple(part for part in map(str.strip, value.split(",")) if part)
    return value


def _origin(value: str) -> str:
    if not _ORIGIN.fullmatch(value):
        raise PydanticCustomError(
            "not_an_origin", "must be scheme://host or scheme://host:port, as a browser sends it"
        )
    return value


Seconds = Annotated[timedelta, BeforeValidator(_seconds), _duration(LONGEST)]
AnySeconds = Annotated[timedelta, BeforeValidator(_seconds), _duration(LONGEST, zero=True)]
# With less, a month without outcomes would leave next to nothing of all that was learned; and the weights by age that
# are stored, which double with each half-life, hold 1,000 doublings: 19 years of a week each.
HalfLife = Annotated[
    timedelta, BeforeValidator(_seconds), _duration(LONGEST, shortest=timedelta(days=7))
]
# PostgreSQL counts it in milliseconds, in 32 bits.
StatementSeconds = Annotated[timedelta, BeforeValidator(_seconds), _duration(timedelta(days=24))]
# The database has them as 32-bit integers, and multiplies k.
Count = Annotated[int, Field(ge=1, le=2**31 - 1)]
Accounts = Annotated[int, Field(ge=2, le=1_000_000)]
Port = Annotated[int, BeforeValidator(_unless_of_a_service), Field(ge=0, le=65535)]
Address = Annotated[
    tuple[Annotated[str, Field(min_length=1)], Annotated[int, Field(ge=0, le=65535)]],
    NoDecode,
    BeforeValidator(_address),
]
Workers = Annotated[int, Field(ge=1, le=128)]
Text = Annotated[str, BeforeValidator(_text)]
Secret = Annotated[SecretStr | None, BeforeValidator(_text)]
Word = Annotated[Text, BeforeValidator(not_empty)]
Origin = Annotated[Text, AfterValidator(_origin)]
File = Annotated[Path, BeforeValidator(not_empty)]
Directory = Annotated[Path, BeforeValidator(not_empty)]
Calls = Annotated[float, Field(gt=0, le=1_000_000)]
Ratio = Annotated[float, Field(ge=0, le=1)]
Limit = Annotated[float, Field(gt=0, le=1)]

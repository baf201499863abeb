"""Where the keys of an identity provider come from: a file, or an address that is asked now and then."""

from __future__ import annotations

import asyncio
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Collection
from http.client import HTTPException
from pathlib import Path
from typing import IO, Any, Protocol

import structlog

from keeper_grpc.access.signing_keys import KeySet, parse_key_set
from keeper_grpc.access.watched_file import FileUnusable, WatchedFile, read_file
from keeper_grpc.domain.access.limits import TokenBucket

log = structlog.get_logger()

VARIABLE = "KEEPER_JWT_KEYS"

MOST_BYTES = 1_000_000
"""Of one key set; providers' have a few thousand."""

TIMEOUT = 5.0
"""Seconds for one read of a key set."""

AT_ONCE, PAUSE = 3.0, 10.0
"""Reads at once that tokens with unknown keys may cause, and seconds between more of them: whoever makes up key ids must
not let this server flood the provider."""


class KeySource(Protocol):
    """Has the keys. `version` grows when they change; `keys` is None until they were had once."""

    @property
    def keys(self) -> KeySet | None: ...

    @property
    def version(self) -> int: ...

    async def missed(self) -> bool:
        """Look for newer keys, since a token was signed by another one; whether that was allowed now."""

    async def renew(self) -> None:
        """Look for newer keys, as is done now and then. Where there are none, the former ones stay."""


class FileKeys:
    """Keys in a file. Raises FileUnusable for its first version."""

    def __init__(self, path: Path, allowed: Collection[str]) -> None:
        def read() -> KeySet:
            content = read_file(path, VARIABLE, MOST_BYTES)
            return parse_key_set(content, allowed, f"{VARIABLE}: {path}")

        self._file = WatchedFile([path], read)

    @property
    def keys(self) -> KeySet | None:
        return self._file.current

    @property
    def version(self) -> int:
        return self._file.version

    async def missed(self) -> bool:
        return self._file.look()

    async def renew(self) -> None:
        self._file.look()


class UrlKeys:
    """Keys at an address. While it does not answer, the former keys are used.

    Reads are shared by all who wait for one.
    """

    def __init__(
        self,
        url: str,
        allowed: Collection[str],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._url = url
        self._allowed = allowed
        self._clock = clock
        self._allowance = TokenBucket(1.0 / PAUSE, AT_ONCE, clock())
        self._reading: asyncio.Task[None] | None = None
        self._content = b""
        self._failing = False
        self.keys: KeySet | None = None
        self.version = 0

    async def missed(self) -> bool:
        if self._reading is None and self._allowance.take(self._clock()):
            return False
        await self.renew()
        return True

    async def renew(self) -> None:
        if self._reading is None:
            self._reading = asyncio.create_task(self._read())
        # Whoever is cancelled leaves the read to the others.
        await asyncio.shield(self._reading)

    async def _read(self) -> None:
        try:
            content = await asyncio.to_thread(_fetch, self._url)
            if content != self._content or self.keys is None:
                self.keys = parse_key_set(content, self._allowed, "the answer")
                self._content = content
                self.version += 1
                log.info("signing_keys_read", keys=len(self.keys))
            self._failing = False
        except (OSError, HTTPException, ValueError, FileUnusable) as error:
            # Once for each outage: it may last for hours.
            if not self._failing:
                reason = str(error) if isinstance(error, FileUnusable) else type(error).__name__
                in_use = len(self.keys or ())
                log.error("signing_keys_not_read", reason=reason, in_use=in_use)  # noqa: TRY400 - a stack says nothing more
            self._failing = True
        finally:
            self._reading = None


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A key set is where the operator says, and nowhere else."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


_OPENER = urllib.request.build_opener(_NoRedirect)


def _fetch(url: str) -> bytes:
    """Raises OSError, HTTPException and ValueError."""
    request = urllib.request.Request(url, headers={"Accept": "application/json"})  # noqa: S310 - settings allow https, and http to this machine
    response: IO[bytes]
    with _OPENER.open(request, timeout=TIMEOUT) as response:
        content = response.read(MOST_BYTES + 1)
    if len(content) > MOST_BYTES:
        raise ValueError("too large")
    return content

"""Calls that have reached a server's connections, and that its event loop has not taken up yet.

gRPC hands over a few calls in each turn of the loop (rpc/accepting.py). Where the loop is busy, calls wait before anything of
ours can count, delay or refuse them; only gRPC's own statistics (channelz) tell of them.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, TypeVar

from grpc._cython import cygrpc

# What the package grpcio-channelz calls, which has no release for this grpcio.
_servers: Callable[[int], bytes] | None = getattr(cygrpc, "channelz_get_servers", None)

ServerT = TypeVar("ServerT")


class Unaccepted:
    """Counts them, of the servers that it has seen made. `taken_up` is to be called for each call that came through."""

    def __init__(self) -> None:
        self._ids: set[int] = set()
        self._taken_up = 0

    def taken_up(self) -> None:
        """One call was handed over."""
        self._taken_up += 1

    def of(self, make: Callable[[], ServerT]) -> ServerT:
        """Count for the server that this makes."""
        before = {_id(each) for each in _described()}
        server = make()
        self._ids |= {_id(each) for each in _described()} - before
        return server

    def __call__(self) -> int:
        """How many wait. Calls that gRPC itself has given up meanwhile stay in it, so what tells is how it changes."""
        started = sum(
            int(each["data"]["callsStarted"]) for each in _described() if _id(each) in self._ids
        )
        return max(0, started - self._taken_up)


def _described() -> list[dict[str, Any]]:
    if _servers is None:
        return []
    found: list[dict[str, Any]] = []
    first = 0
    while True:
        page = json.loads(_servers(first))
        found += page.get("server", ())
        if page.get("end", True) or not page.get("server"):
            return found
        first = _id(found[-1]) + 1


def _id(server: dict[str, Any]) -> int:
    return int(server["ref"]["serverId"])

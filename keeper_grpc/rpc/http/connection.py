"""One connection of the HTTP server, which has an end also where its caller does nothing.

A handler that ends does not end the connection on which its messages wait, and before a request's headers have come
there is no handler. Both would be kept for as long as the other side likes, and a drain would wait for them.
"""

from __future__ import annotations

import asyncio
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from keeper_grpc.rpc.http.certificate import STATE, names_of


class Connection(H11Protocol):
    """Cut off after `stall` seconds in which the caller reads nothing of what waits for it, and after `silence` seconds
    in which it sends no whole head of a request.
    """

    def __init__(self, *args: Any, stall: float, silence: float, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._stall = stall
        self._silence = silence
        self._unread: asyncio.TimerHandle | None = None
        self._unasked: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Begin to wait for a request."""
        super().connection_made(transport)
        self.app_state = {**self.app_state, STATE: names_of(transport)}
        self._expect()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait for nothing any more."""
        self._stop_unread()
        self._stop_unasked()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take what came."""
        super().data_received(data)
        self._expect()

    def on_response_complete(self) -> None:
        """Begin to wait for the next request."""
        super().on_response_complete()
        self._expect()

    def pause_writing(self) -> None:
        """Begin to wait for the caller to read."""
        super().pause_writing()
        # To close the connection instead would wait for what the caller does not read.
        self._unread = self.loop.call_later(self._stall, self.transport.abort)

    def resume_writing(self) -> None:
        """It has read."""
        self._stop_unread()
        super().resume_writing()

    def _expect(self) -> None:
        """Give the next request its time; a part of a head gives it no more."""
        if self.conn.their_state is not h11.IDLE or self.transport.is_closing():
            self._stop_unasked()
        elif self._unasked is None:
            self._unasked = self.loop.call_later(self._silence, self.transport.abort)

    def _stop_unread(self) -> None:
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None

    def _stop_unasked(self) -> None:
        if self._unasked is not None:
            self._unasked.cancel()
            self._unasked = None

"""What a kubelet asks over HTTP: /readyz, whether calls are answered, and /livez, whether the process turns."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

A_TURN = 5.0
"""Seconds within which an event loop that works must turn once. The longest turns seen under load take half a second."""


class Probes:
    """Answers about the process whose event loop `loop` is. It is not ready before it follows something that is."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._ready: Callable[[], bool] = lambda: False

    def follow(self, ready: Callable[[], bool]) -> None:
        """Be as ready as this says."""
        self._ready = ready

    def ready(self) -> bool:
        """Whether the server answers calls: what gRPC's health says of it."""
        return self._ready()

    def alive(self, within: float = A_TURN) -> bool:
        """Whether the event loop turns within so many seconds. Blocks the calling thread, which is not the loop's."""
        turned = threading.Event()
        try:
            self._loop.call_soon_threadsafe(turned.set)
        except RuntimeError:
            return False  # it is closed
        return turned.wait(within)

    def in_front_of(self, app: WSGIApplication) -> WSGIApplication:
        """A WSGI application that answers the probes, and leaves other paths to `app`."""
        answers = {"/readyz": self.ready, "/livez": self.alive}

        def answer(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
            asked = answers.get(environ["PATH_INFO"])
            if asked is None:
                return app(environ, start_response)
            good = asked()
            status = "200 OK" if good else "503 Service Unavailable"
            start_response(status, [("Content-Type", "text/plain"), ("Cache-Control", "no-store")])
            return [b"ok\n" if good else b"no\n"]

        return answer

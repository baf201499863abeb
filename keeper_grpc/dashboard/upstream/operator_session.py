"""An operator who is signed in on one page: a connection of their own, which the page's end ends."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from keeper_grpc.client import KeeperClient, KeeperClientError
from keeper_grpc.client.credentials import Credentials

IDLE = 900.0
"""Seconds without a question or an action after which an operator is signed out: a page may be left open."""


class NeedsToken(Exception):
    """The server asks nobody who calls, so that anybody who sees this page could operate it."""


class OperatorSession:
    """Calls as the operator whose token it is. The server decides what that allows, and names it in its audit log."""

    def __init__(self, client: KeeperClient, on_idle: Callable[[], None]) -> None:
        self.client = client
        self._on_idle = on_idle
        self._timer = self._idle()

    def touch(self) -> None:
        """Somebody is there."""
        self._timer.cancel()
        self._timer = self._idle()

    async def close(self) -> None:
        """Forget the token."""
        self._timer.cancel()
        await self.client.aclose()

    def _idle(self) -> asyncio.TimerHandle:
        return asyncio.get_running_loop().call_later(IDLE, self._on_idle)


class Operators:
    """Signs operators in. `transport` says how to connect; `without_token` lets anybody in where the server does."""

    def __init__(self, target: str, transport: Credentials, *, without_token: bool) -> None:
        self._target = target
        self._transport = transport
        self._without_token = without_token

    async def sign_in(self, token: str, on_idle: Callable[[], None]) -> OperatorSession:
        """A session, if the token's identity may operate the network.

        Raises NeedsToken, KeeperClientError, CredentialsUnusable.
        """
        if not self._without_token and await self._asks_nobody():
            raise NeedsToken
        client = self._connect(token)
        try:
            await client.list_audit_events(page_size=1)
        except BaseException:
            await client.aclose()
            raise
        return OperatorSession(client, on_idle)

    async def _asks_nobody(self) -> bool:
        """Whether the server lets somebody without a token operate it."""
        client = self._connect("")
        try:
            await client.list_audit_events(page_size=1)
        except KeeperClientError:
            return False
        else:
            return True
        finally:
            await client.aclose()

    def _connect(self, token: str) -> KeeperClient:
        transport = self._transport
        credentials = Credentials(
            tls=transport.secure, ca=transport.ca, token=(lambda: token) if token else None
        )
        return KeeperClient(self._target, credentials=credentials)

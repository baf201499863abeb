"""Who may call a server: everyone, or as certificates, tokens and identities of the settings say."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, NoReturn, Protocol

import structlog

from keeper_grpc.listening import authenticates, is_guarded, is_loopback
from keeper_grpc.settings import Settings

if TYPE_CHECKING:  # loads what reads certificates and tokens
    import ssl

    import grpc

    from keeper_grpc.access.authenticator import Authenticator

log = structlog.get_logger()


class Access(Protocol):
    """Who may call one server. `run` it as a task; `reload` it when an operator asks for it.

    authenticator: None where there is no authentication.
    """

    @property
    def authenticator(self) -> Authenticator | None: ...

    def credentials(self) -> grpc.ServerCredentials | None:
        """Of one port; None without TLS."""

    def http_context(self) -> ssl.SSLContext | None:
        """The TLS of the HTTP port; None without TLS."""

    def reload(self) -> None:
        """Read every file again now."""

    async def run(self) -> NoReturn:
        """Follow the files and the provider's keys for ever."""


class OpenAccess:
    """Everyone may call, without TLS: of a server whose settings name nothing of it."""

    authenticator = None

    def credentials(self) -> None: ...

    def http_context(self) -> None: ...

    def reload(self) -> None: ...

    async def run(self) -> NoReturn:
        """There is nothing to follow."""
        while True:
            await asyncio.Event().wait()


async def open_access(settings: Settings) -> Access:
    """Who may call, ready to be asked. Raises FileUnusable and SettingsInvalid."""
    if not is_guarded(settings):
        return OpenAccess()
    # A fifth of a second of CPU for what reads keys and certificates: only who asks for it waits for it.
    from keeper_grpc.composition.guarded_access import GuardedAccess  # noqa: PLC0415

    access = GuardedAccess(settings)
    _warn_of_clear_text(settings)
    await access.start()
    return access


def _warn_of_clear_text(settings: Settings) -> None:
    """Say it once where tokens travel without TLS of ours: a proxy or a mesh has to see to it then."""
    if (
        authenticates(settings)
        and settings.tls_certificate is None
        and not is_loopback(settings.host)
    ):
        log.warning("tokens_without_tls", settings="KEEPER_TLS_CERTIFICATE, KEEPER_TLS_KEY")

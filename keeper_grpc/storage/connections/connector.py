"""Opens connections to whichever host of an address takes writes, or to any for reading."""

from __future__ import annotations

import socket
import ssl
from typing import TYPE_CHECKING, Any, Final

import asyncpg

from keeper_grpc.storage.connections.address import Address, Host
from keeper_grpc.storage.connections.move_mark import Phase, phase_of
from keeper_grpc.storage.connections.session import SILENCE
from keeper_grpc.storage.connections.unfit import (
    DatabaseMoved,
    DatabaseMoving,
    DatabaseUnfit,
    DatabaseUnreachable,
    DatabaseUrlInvalid,
    ParameterUnfit,
    ServerReadOnly,
    WritesRefused,
)

if TYPE_CHECKING:
    from asyncpg import Record

_PROBES: Final = {
    "TCP_KEEPIDLE": 3,
    "TCP_KEEPINTVL": 1,
    "TCP_KEEPCNT": 3,
    "TCP_USER_TIMEOUT": SILENCE,
}
"""A primary whose host is gone must not hold calls, or a connection that only listens, for the quarter of an hour
that the operating system allows. Not every system has each of these options."""


class Connector:
    """Connects to the first host that takes writes, or with `for_reading` to the first that answers."""

    def __init__(self, address: Address, *, for_reading: bool = False, **options: Any) -> None:
        """`options` are asyncpg's, for every connection."""
        self._address = address
        self._for_reading = for_reading
        self._options = options

    async def connect(
        self, connection_class: type[asyncpg.Connection[Record]] = asyncpg.Connection
    ) -> asyncpg.Connection[Record]:
        """A connection whose transactions may write, unless it is for reading.

        Raises ServerReadOnly or WritesRefused where hosts answer but none takes writes, DatabaseUnreachable where none
        answers, DatabaseUrlInvalid, and the driver's TooManyConnectionsError where a host has no room: a connection
        that is given back may make some.
        """
        refusal: DatabaseUnfit | None = None
        for host in self._address.order():
            try:
                return await self._connect(host, connection_class)
            except (ServerReadOnly, WritesRefused) as error:
                refusal = error
            except DatabaseUnreachable as error:
                # What answers and refuses says more than what does not answer.
                refusal = refusal or error
        assert refusal is not None  # noqa: S101 - an address has a host
        raise refusal

    async def _connect(
        self, host: Host, connection_class: type[asyncpg.Connection[Record]]
    ) -> asyncpg.Connection[Record]:
        arguments = {**self._address.driver_arguments(host), **self._options}
        try:
            connection: asyncpg.Connection[Record] = await asyncpg.connect(
                **arguments, connection_class=connection_class
            )
        except asyncpg.TooManyConnectionsError:
            raise
        except (asyncpg.UndefinedObjectError, asyncpg.InvalidParameterValueError) as error:
            # A setting of the session that only the server can judge.
            raise ParameterUnfit(
                "has a parameter that", f"the server refuses: {_first_line(error)}"
            ) from error
        except OSError as error:  # of TLS, some are ValueErrors too
            raise unreachable(error) from error
        except ValueError:  # also the driver's ClientConfigurationError
            raise DatabaseUrlInvalid from None
        except (
            asyncpg.PostgresError,
            asyncpg.InterfaceError,
            asyncpg.InternalClientError,
        ) as error:
            raise unreachable(error) from error
        try:
            _watch_peer(connection)
            if not self._for_reading:
                await _require_writable(connection)
        except BaseException:
            connection.terminate()
            raise
        return connection


def unreachable(error: Exception) -> DatabaseUnreachable:
    """The error for a failed attempt to connect."""
    return DatabaseUnreachable(_reason(error))


def _reason(error: Exception) -> str:
    """The server's own words, or those of the operating system, without what they say about the caller."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return (
            f"the server's certificate is not trusted ({error.verify_message}): name its authority as "
            "sslrootcert=/path/to/authority.pem, and the server as the certificate does"
        )
    if isinstance(error, TimeoutError):
        return "it does not answer in time (connect_timeout says how long)"
    return _first_line(error)


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0] or type(error).__name__


def _watch_peer(connection: Any) -> None:
    """Let the operating system notice that the server's host is gone. The driver has no way to ask for it."""
    watched = connection._transport.get_extra_info("socket")  # noqa: SLF001 - see above
    if watched is None or watched.family not in (socket.AF_INET, socket.AF_INET6):
        return
    watched.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _PROBES.items():
        if hasattr(socket, name):
            watched.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


async def _require_writable(connection: asyncpg.Connection[Record]) -> None:
    try:
        facts = await connection.fetchrow(
            """
            SELECT pg_is_in_recovery() AS standby,
                   current_setting('transaction_read_only')::bool AS read_only,
                   quote_ident(current_user) AS role, quote_ident(current_database()) AS database
            """
        )
        assert facts is not None  # noqa: S101 - a SELECT without FROM has one row
        phase = await phase_of(connection) if facts["read_only"] else None
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise unreachable(error) from error
    if facts["standby"]:
        raise ServerReadOnly
    if phase is Phase.MOVED:
        raise DatabaseMoved
    if phase is not None:
        raise DatabaseMoving
    if facts["read_only"]:
        raise WritesRefused(facts["role"], facts["database"])

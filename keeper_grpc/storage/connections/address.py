"""Where a database is and how to log in: a DSN, split into what the driver takes and what is done here.

The driver reads less than libpq does: it sends what it does not know to the server as a setting, and gives all hosts
of a DSN one time limit together. So parameters are sorted here, and hosts are tried one by one.
"""

from __future__ import annotations

import os
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from ssl import SSLContext
from typing import Any, Final
from urllib.parse import quote, urlencode

from keeper_grpc.storage.connections.parameters import read_parameters
from keeper_grpc.storage.connections.tls import tls_of
from keeper_grpc.storage.connections.unfit import DatabaseUrlInvalid, ParameterUnfit

APPLICATION: Final = "keeper"
"""What pg_stat_activity shows, unless the DSN has an application_name."""

CONNECT_TIMEOUT: Final = 5.0
"""Seconds for one attempt to connect to one host. Behind a firewall that drops packets it would take minutes."""

_MOST_PORT: Final = 65535

_IGNORED: Final = frozenset(
    {
        # Ours are stricter (storage/connections/connector.py).
        "keepalives",
        "keepalives_idle",
        "keepalives_interval",
        "keepalives_count",
        "tcp_user_timeout",
        # Of what this driver does not do, or always does.
        "fallback_application_name",
        "gssdelegation",
        "max_protocol_version",
        "min_protocol_version",
        "sslcompression",
        "sslsni",
    }
)
"""Parameters of libpq that change nothing here."""

_ONLY: Final[Mapping[str, tuple[frozenset[str], str]]] = {
    "channel_binding": (
        frozenset({"disable", "prefer"}),
        "can be prefer or disable only: leave it out, and let sslmode=verify-full prove who the server is",
    ),
    "client_encoding": (
        frozenset({"auto", "utf8", "utf-8"}),
        "can be UTF8 only: leave it out",
    ),
    "gssencmode": (
        frozenset({"disable", "prefer"}),
        "can be prefer or disable only: use sslmode",
    ),
    "load_balance_hosts": (frozenset({"disable", "random"}), "is disable or random"),
    "replication": (frozenset({"false", "off", "no", "0"}), "makes no sense here: leave it out"),
    "require_auth": (
        frozenset(),
        "cannot be enforced by the driver: leave it out, and let sslmode=verify-full prove who the server is",
    ),
    "requirepeer": (frozenset(), "cannot be enforced by the driver: leave it out"),
    "sslcertmode": (frozenset({"allow"}), "can be allow only: leave it out"),
    "target_session_attrs": (
        frozenset({"any", "read-write", "primary"}),
        "must let writes through: leave it out, or write read-write",
    ),
}
"""Parameters that are done here, or not at all: which values can be had, and what to do with another."""


@dataclass(frozen=True, slots=True)
class Host:
    """One server to try: a name or address, or the directory of a socket. None: as the driver's defaults say."""

    name: str | None
    port: int | None


@dataclass(frozen=True, slots=True)
class Address:
    """A database that can be connected to. Its `repr` has neither user nor password."""

    hosts: tuple[Host, ...]
    connect_timeout: float
    """Seconds for one attempt at one host."""
    balances: bool
    """Hosts are tried in a random order."""
    _dsn: str
    _login: Mapping[str, str]
    _tls: SSLContext | None

    def __repr__(self) -> str:
        return f"Address({self.hosts})"

    @classmethod
    def parse(cls, dsn: str, *, for_reading: bool = False) -> Address:
        """Read a DSN; one that is for reading may ask for a standby.

        Raises DatabaseUrlInvalid and ParameterUnfit, which quote no value that may be a secret.
        """
        parameters = read_parameters(dsn)
        if for_reading:
            # Whether a standby is recent enough decides who is read from (storage/replica.py).
            parameters.pop("target_session_attrs", None)
        for name, (possible, reason) in _ONLY.items():
            wanted = parameters.get(name)
            if wanted is not None and wanted.lower() not in possible:
                raise ParameterUnfit(name, reason)
        tls = tls_of(parameters)
        if tls is not None:
            for name in ("sslmode", "sslrootcert", "sslcert", "sslkey", "sslpassword"):
                parameters.pop(name, None)
        login = {
            ours: parameters.pop(theirs)
            for theirs, ours in (("user", "user"), ("password", "password"), ("dbname", "database"))
            if theirs in parameters
        }
        hosts = _hosts(
            parameters.pop("hostaddr", None) or parameters.pop("host", None),
            parameters.pop("port", None),
        )
        timeout = _timeout(parameters.pop("connect_timeout", None))
        balances = parameters.get("load_balance_hosts") == "random"
        passed = {"application_name": APPLICATION} | {
            name: text
            for name, text in parameters.items()
            if name not in _ONLY and name not in _IGNORED
        }
        return cls(
            hosts,
            timeout,
            balances,
            f"postgresql://?{urlencode(passed, quote_via=quote)}",
            login,
            tls,
        )

    def order(self) -> Sequence[Host]:
        """The hosts in the order in which to try them."""
        if not self.balances:
            return self.hosts
        return random.sample(self.hosts, len(self.hosts))

    def driver_arguments(self, host: Host) -> dict[str, Any]:
        """What asyncpg connects to the host with."""
        arguments: dict[str, Any] = {
            "dsn": self._dsn,
            **self._login,
            "timeout": self.connect_timeout,
            # The environment may say otherwise; what is wanted is the connector's to check.
            "target_session_attrs": "any",
        }
        if host.name is not None:
            arguments["host"] = host.name
        if host.port is not None:
            arguments["port"] = host.port
        if self._tls is not None:
            arguments["ssl"] = self._tls
        return arguments


def _hosts(named: str | None, ports: str | None) -> tuple[Host, ...]:
    names = (named or os.environ.get("PGHOST") or "").split(",")
    numbers = [_port(text) for text in (ports or os.environ.get("PGPORT") or "").split(",")]
    if len(numbers) == 1:
        numbers *= len(names)
    if len(numbers) != len(names) or (len(names) > 1 and not all(names)):
        raise DatabaseUrlInvalid
    return tuple(
        Host(name.strip() or None, number) for name, number in zip(names, numbers, strict=True)
    )


def _port(text: str) -> int | None:
    text = text.strip()
    if not text:
        return None
    if not (text.isascii() and text.isdecimal() and 0 < int(text) <= _MOST_PORT):
        raise DatabaseUrlInvalid
    return int(text)


def _timeout(text: str | None) -> float:
    """Seconds; libpq's 0 and below mean no limit, which a start and a call cannot afford."""
    if text is None:
        return CONNECT_TIMEOUT
    try:
        seconds = int(text)
    except ValueError:
        raise ParameterUnfit("connect_timeout", "is a whole number of seconds") from None
    return float(seconds) if seconds > 0 else CONNECT_TIMEOUT

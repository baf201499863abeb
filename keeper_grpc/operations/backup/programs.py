"""pg_dump and pg_restore: those that are as new as the server, run without a secret in their arguments."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlencode

from keeper_grpc.operations.backup.errors import ProgramFailed, ProgramsMissing
from keeper_grpc.storage.connections.parameters import read_parameters
from keeper_grpc.storage.embedded.account import ENVIRONMENT, ServerAccount
from keeper_grpc.storage.embedded.binaries import find_binaries
from keeper_grpc.storage.embedded.errors import StartFailed

_LIBPQ = frozenset(
    [
        "host",
        "hostaddr",
        "port",
        "dbname",
        "user",
        "password",
        "passfile",
        "require_auth",
        "channel_binding",
        "connect_timeout",
        "client_encoding",
        "options",
        "application_name",
        "keepalives",
        "keepalives_idle",
        "keepalives_interval",
        "keepalives_count",
        "tcp_user_timeout",
        "sslmode",
        "sslnegotiation",
        "sslcompression",
        "sslcert",
        "sslkey",
        "sslrootcert",
        "sslcrl",
        "sslcrldir",
        "sslsni",
        "ssl_min_protocol_version",
        "ssl_max_protocol_version",
        "gssencmode",
        "krbsrvname",
        "gsslib",
        "target_session_attrs",
        "load_balance_hosts",
    ]
)
"""Parameters of a DSN that libpq knows. Our driver takes any other for a setting of the session."""


_SERVICE = "keeper"
"""The section of a service file of ours."""


@dataclass(frozen=True, slots=True)
class Connection:
    """A DSN for libpq's programs: without its secrets, and the environment and the service file that have them.

    `service` is the text of that file, empty without one: no variable holds the password of a client key.
    """

    dsn: str
    environment: dict[str, str]
    service: str = ""

    @classmethod
    def of(cls, dsn: str) -> Connection:
        """Take a DSN apart, of either form. Anyone may read the arguments of a process, its environment its owner only."""
        parameters = read_parameters(dsn)
        secret, of_key = parameters.pop("password", ""), parameters.pop("sslpassword", "")
        kept = {name: value for name, value in parameters.items() if name in _LIBPQ}
        session = [
            f"-c {name}={_escaped(value)}"
            for name, value in parameters.items()
            if name not in _LIBPQ
        ]
        # As our driver does, they read libpq's variables too, and the files in the home directory.
        environment = ENVIRONMENT | {
            name: value
            for name, value in os.environ.items()
            if name.startswith("PG") or name == "HOME"
        }
        environment["PGAPPNAME"] = "keeper backup"
        if secret:
            environment["PGPASSWORD"] = secret
        if session:
            environment["PGOPTIONS"] = " ".join(
                [environment.get("PGOPTIONS", ""), *session]
            ).strip()
        if of_key:
            kept["service"] = _SERVICE
        return cls(
            f"postgresql://?{urlencode(kept, quote_via=quote)}",
            environment,
            f"[{_SERVICE}]\nsslpassword={of_key}\n" if of_key else "",
        )


def find_program(name: str, server_major: int) -> str:
    """The bundled program, or the one on the path: an older one than the server refuses it.

    Raises ProgramsMissing.
    """
    found: list[str] = []
    for candidate in (_bundled(name), shutil.which(name)):
        if candidate is None:
            continue
        major = _major(candidate)
        if major >= server_major:
            return candidate
        found.append(f"{candidate} is of PostgreSQL {major}")
    raise ProgramsMissing(
        f"no {name} as new as the server, which is PostgreSQL {server_major}: install its client programs "
        f"and put them on the PATH ({'; '.join(found) or 'none was found'})"
    )


async def run(program: str, *arguments: str | Path, connection: Connection) -> str:
    """Run one to its end; what it printed. Raises ProgramFailed with the first line of its complaint."""
    with _environment_of(connection) as environment:
        process = await asyncio.create_subprocess_exec(
            program,
            *arguments,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        try:
            said, complained = await process.communicate()
        except asyncio.CancelledError:
            process.terminate()
            await process.wait()
            raise
    if process.returncode != 0:
        # One line: those that follow may quote rows.
        lines = complained.decode(errors="replace").strip().splitlines()
        raise ProgramFailed(lines[0] if lines else f"{program} ended with {process.returncode}")
    return said.decode(errors="replace")


@contextmanager
def _environment_of(connection: Connection) -> Iterator[dict[str, str]]:
    """What a program runs in, with its service file, which its owner alone can read, for as long as it runs."""
    if not connection.service:
        yield connection.environment
        return
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", suffix=".conf") as file:
        file.write(connection.service)
        file.flush()
        yield connection.environment | {"PGSERVICEFILE": file.name}


def _escaped(value: str) -> str:
    """A value as PGOPTIONS takes it: blanks and backslashes behind a backslash."""
    return re.sub(r"([\\\s])", r"\\\1", value)


def _bundled(name: str) -> str | None:
    account = ServerAccount(os.geteuid(), os.getegid(), switches=False)
    try:
        return find_binaries(account).program(name)
    except StartFailed:
        return None


def _major(program: str) -> int:
    """Of "pg_dump (PostgreSQL) 18.6"; 0 of what does not run."""
    try:
        done = subprocess.run(  # noqa: S603 - a program of PostgreSQL's
            [program, "--version"], env=ENVIRONMENT, capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return 0
    found = re.search(r"(\d+)", done.stdout.partition(")")[2])
    return int(found[1]) if found else 0

"""What is wrong with the configured database, each as one line for the operator.

    DatabaseUnfit
     +- DatabaseUrlInvalid    the DSN cannot be read
     +- ParameterUnfit        a parameter of the DSN that cannot be had as it is asked for
     +- DatabaseUnreachable   no connection: address, name, password
     +- ServerTooOld
     +- ServerReadOnly        a standby
     +- WritesRefused         a primary whose transactions are read-only
     |   +- DatabaseMoving    part of a move (keeper move) that is not done yet
     |   +- DatabaseMoved     the network was moved away from it
     +- EncodingUnfit         not UTF8
     +- VectorMissing         pgvector is not on the server, or this role may not create it
     +- VectorTooOld
     +- PrivilegeMissing      this role may not create or use tables
     +- SessionsShared        a pooler that gives every transaction another session
     +- TooFewConnections     fewer connections than one process holds

Each message says what is missing and what mends it, and never a value of the DSN but names of files and roles. They
stop the start of the process; callers of the API never see them.
"""

from __future__ import annotations

from keeper_grpc.operator_error import OperatorError


class DatabaseUnfit(OperatorError):
    """Base of the faults of the configured database."""


class DatabaseUrlInvalid(DatabaseUnfit):
    """The DSN cannot be parsed. Nothing of it is quoted: any part may be the password's."""

    def __init__(self) -> None:
        super().__init__(
            "KEEPER_DATABASE_URL cannot be read: write postgresql://user:password@host:port/database "
            "and percent-encode what is special in the password (/ is %2F, @ is %40, % is %25), "
            "or host=... dbname=... user=... password='...'"
        )


class ParameterUnfit(DatabaseUnfit):
    """A parameter of the DSN asks for what cannot be had."""

    def __init__(self, parameter: str, reason: str) -> None:
        super().__init__(f"KEEPER_DATABASE_URL: {parameter} {reason}")


class DatabaseUnreachable(DatabaseUnfit):
    """The server cannot be reached, or refuses the login."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"cannot connect to the database: {reason}; check KEEPER_DATABASE_URL")


class ServerTooOld(DatabaseUnfit):
    """The server's major version is below the oldest that is supported."""

    def __init__(self, version: str, oldest: int) -> None:
        super().__init__(
            f"PostgreSQL {version} is too old: upgrade the server to {oldest} or newer"
        )


class ServerReadOnly(DatabaseUnfit):
    """The server is a standby, which takes no writes."""

    def __init__(self) -> None:
        super().__init__(
            "the server is a read-only standby: point KEEPER_DATABASE_URL at the primary, "
            "or promote it with SELECT pg_promote()"
        )


class WritesRefused(DatabaseUnfit):
    """Transactions are read-only although the server is none: somebody decided so."""

    def __init__(self, role: str, database: str) -> None:
        super().__init__(
            "the database takes no writes (default_transaction_read_only is on, as where a provider's disk is full): "
            f"find out why, then run ALTER ROLE {role} RESET default_transaction_read_only or "
            f"ALTER DATABASE {database} RESET default_transaction_read_only"
        )


class DatabaseMoving(WritesRefused):
    """`keeper move` switches from this database to another, or fills this one: it opens when that is done."""

    def __init__(self) -> None:
        DatabaseUnfit.__init__(
            self,
            "a keeper move from or to this database is under way: wait for it; if it was interrupted, run it again, or "
            "keeper move --cancel",
        )


class DatabaseMoved(WritesRefused):
    """`keeper move` took the network to another database; what is here is of before."""

    def __init__(self) -> None:
        DatabaseUnfit.__init__(
            self,
            "the network was moved away from this database (keeper move): name the one that it was moved to in "
            "KEEPER_DATABASE_URL",
        )


class EncodingUnfit(DatabaseUnfit):
    """The database cannot hold every text."""

    def __init__(self, database: str, encoding: str) -> None:
        super().__init__(
            f"database {database} has encoding {encoding}: make one with "
            "CREATE DATABASE keeper ENCODING 'UTF8' TEMPLATE template0"
        )


class VectorMissing(DatabaseUnfit):
    """The extension is neither installed nor installable by this role."""


class VectorTooOld(DatabaseUnfit):
    """The extension is older than what was tested."""


class PrivilegeMissing(DatabaseUnfit):
    """The role may not create tables where it would have to, or not use those that are there."""


class SessionsShared(DatabaseUnfit):
    """A pooler of transactions or statements: what is set, locked or listened to in a session is another's next."""

    def __init__(self) -> None:
        super().__init__(
            "the pooler in front of the database gives every transaction another session, and the service listens and "
            "holds locks in its own: set pool_mode = session for this database in the pooler, or name the server "
            "itself in KEEPER_DATABASE_URL"
        )


class TooFewConnections(DatabaseUnfit):
    """The role or the database is limited to fewer connections than one process holds at all times."""

    def __init__(self, whose: str, found: int, least: int) -> None:
        super().__init__(
            f"{whose} is limited to {found} connections, and a process needs {least}: "
            f"run ALTER {whose} CONNECTION LIMIT {least} or more"
        )


class DatabaseRefuses(DatabaseUnfit):
    """The server refused a statement of the start, for a reason that has no line of its own."""

    def __init__(self, reason: str, error: str, sqlstate: str) -> None:
        super().__init__(
            f"the database refused a statement of the start: {reason} ({error}, {sqlstate})"
        )

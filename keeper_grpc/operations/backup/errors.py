"""Why a backup cannot be made or put back. The messages are for the operator.

BackupError
+- BackupExists         the directory holds something already
+- BackupInvalid        no backup, an incomplete or a damaged one
+- BackupOfAnother      made by a newer program, or of another history of migrations
+- DatabaseInUse        servers are connected to the database
+- DatabaseNotEmpty     it holds data, which nobody said to replace
+- DatabaseSpread       its tables lie on the workers of a Citus cluster
+- ProgramsMissing      no pg_dump or pg_restore that fits the server
+- ProgramFailed        pg_dump or pg_restore gave up
+- RestoreDiffers       what was put back is not what the manifest counted
"""

from __future__ import annotations

from keeper_grpc.operator_error import OperatorError


class BackupError(OperatorError):
    """Base of the errors of backups."""


class BackupExists(BackupError):
    """A backup never replaces another one."""


class BackupInvalid(BackupError):
    """The directory is not what `keeper backup` writes."""


class BackupOfAnother(BackupError):
    """This program cannot serve what the backup holds."""


class DatabaseInUse(BackupError):
    """A server would go on with memories of the database that was replaced."""


class DatabaseNotEmpty(BackupError):
    """A restore replaces everything."""


class DatabaseSpread(BackupError):
    """No snapshot is of all nodes of a cluster, and pg_restore knows nothing of where its tables lie."""

    def __init__(self) -> None:
        super().__init__(
            "the database is spread over a Citus cluster, of which pg_dump has no snapshot: back up and restore each "
            "node with pg_basebackup and its archived log, up to one citus_create_restore_point"
        )


class ProgramsMissing(BackupError):
    """PostgreSQL's programs must be as new as the server."""


class ProgramFailed(BackupError):
    """A program of PostgreSQL ended with an error; what it did was undone."""


class RestoreDiffers(BackupError):
    """Rows are missing, or there are too many."""

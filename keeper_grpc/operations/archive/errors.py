"""Why observations cannot be archived, or archives not read. The messages are for the operator.

ArchiveError
+- ArchiveBusy      another command archives, or reads the archives
+- ArchiveDamaged   a file is missing, or is not the one that was written
"""

from __future__ import annotations

from pathlib import Path

from keeper_grpc.operator_error import OperatorError


class ArchiveError(OperatorError):
    """Base of the errors of archives."""


class ArchiveBusy(ArchiveError):
    """Files may be replaced while another command reads them."""

    def __init__(self) -> None:
        super().__init__(
            "another `keeper archive` or `keeper rebuild` is at the archives: wait for it"
        )


class ArchiveDamaged(ArchiveError):
    """What was archived cannot be read whole."""

    def __init__(self, path: Path, what: str) -> None:
        super().__init__(
            f"{path} {what}: put the file back from the copy of the archives, nothing was changed"
        )

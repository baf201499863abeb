"""What a backup says of itself: manifest.json, written last, so that a directory without one is no backup."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from keeper_grpc.operations.backup.errors import BackupInvalid

FILE = "manifest.json"
DUMP = "keeper.dump"

FORMAT = 1
"""Of the manifest. A program refuses a later one."""

_PIECE = 1 << 20


@dataclass(frozen=True, slots=True)
class Manifest:
    """Versions, the migrations' checksums by name, and what must be found again: rows by table, bytes and SHA-256.

    `pseudonym_key_ids` name the keys without which no account of the backup is recognized. They are not in it.
    """

    made_time: str
    program: str
    postgresql: str
    pgvector: str
    embedding_model: str
    migrations: Mapping[str, str]
    pseudonym_key_ids: tuple[str, ...]
    rows: Mapping[str, int]
    dump_bytes: int
    dump_sha256: str
    format: int = FORMAT

    def counts(self) -> dict[str, int]:
        """How much it is, for the audit log."""
        return {"rows": sum(self.rows.values()), "tables": len(self.rows)}

    def key_names(self) -> str:
        """The pseudonym keys in words."""
        return ", ".join(self.pseudonym_key_ids) or "none yet"

    def write(self, directory: Path) -> None:
        """Write it whole or not at all."""
        partial = directory / f"{FILE}.partial"
        with partial.open("w", encoding="utf-8") as file:
            json.dump(asdict(self), file, indent=2)
            file.write("\n")
            file.flush()
            os.fsync(file.fileno())
        partial.rename(directory / FILE)

    @classmethod
    def read(cls, directory: Path) -> Self:
        """Read it, and hold the dump against it. Raises BackupInvalid."""
        try:
            found: dict[str, Any] = json.loads((directory / FILE).read_text(encoding="utf-8"))
            made = found["format"]
            if made == FORMAT:
                found["pseudonym_key_ids"] = tuple(found["pseudonym_key_ids"])
                manifest = cls(**found)
        except FileNotFoundError:
            raise BackupInvalid(
                f"{directory} holds no complete backup: it has no {FILE}, which is written last"
            ) from None
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise BackupInvalid(f"{directory / FILE} cannot be read as a manifest") from error
        if made != FORMAT:
            raise BackupInvalid(
                f"{directory} has format {made}, this program knows {FORMAT}: restore it with the program that made it"
            )
        manifest.check(directory)
        return manifest

    def check(self, directory: Path) -> None:
        """Raise BackupInvalid unless the dump is the one that was made."""
        dump = directory / DUMP
        try:
            size = dump.stat().st_size
            damaged = size != self.dump_bytes or sha256(dump) != self.dump_sha256
        except OSError as error:
            raise BackupInvalid(f"{dump} cannot be read: {error.strerror}") from error
        if damaged:
            raise BackupInvalid(
                f"{dump} is damaged: it is not the file that {FILE} was written for"
            )


def sha256(path: Path) -> str:
    """The hash of a file, in hex."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            digest.update(piece)
    return digest.hexdigest()

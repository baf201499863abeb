"""Puts the client's sources into the distribution, under the name keeper_client.

They are keeper_grpc/client with keeper_grpc/gen, which the server's own commands use too: one client, and not a second
copy that lags behind. Only the name of the package is another, so that it says nothing of a server and may be
installed beside it.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

NAME = "keeper_client"

_CLIENT = re.compile(r"\bkeeper_grpc\.client\b")
_GENERATED = re.compile(r"\bkeeper_grpc\.gen\b")


class KeeperClientHook(BuildHookInterface):  # type: ignore[type-arg]  # hatchling's own configuration
    """Writes the sources into a directory that is removed after the build."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Add the package to what is built."""
        here = Path(self.root)
        if (here / NAME).exists():
            return  # an sdist, which has them where hatchling looks
        self._made = Path(tempfile.mkdtemp(prefix="keeper-client-"))
        package = self._made / NAME
        repository = here.parents[1]
        relocated(repository / "keeper_grpc/client", package)
        relocated(repository / "keeper_grpc/gen", package / "gen")
        shutil.copy(repository / "keeper_grpc/py.typed", package / "py.typed")
        included = build_data["force_include"]
        included[str(package)] = NAME
        if self.target_name == "sdist":
            written = self._made / "VERSION"
            written.write_text(self.metadata.version, encoding="utf-8")
            included[str(written)] = "VERSION"

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Remove the directory."""
        if hasattr(self, "_made"):
            shutil.rmtree(self._made)


def relocated(source: Path, target: Path) -> None:
    """Copy Python files, with the names of their imports changed."""
    for file in sorted(source.rglob("*.py*")):
        if file.suffix not in {".py", ".pyi"}:
            continue
        text = _GENERATED.sub(f"{NAME}.gen", _CLIENT.sub(NAME, file.read_text(encoding="utf-8")))
        copy = target / file.relative_to(source)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_text(text, encoding="utf-8")

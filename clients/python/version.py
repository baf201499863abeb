"""The version of keeper-client: that of the repository, or in an sdist the one that it was made from."""

import tomllib
from pathlib import Path

_HERE = Path(__file__).parent
_WRITTEN = _HERE / "VERSION"


def _version() -> str:
    if _WRITTEN.exists():
        return _WRITTEN.read_text(encoding="utf-8").strip()
    project = tomllib.loads((_HERE.parents[1] / "pyproject.toml").read_text(encoding="utf-8"))
    return str(project["project"]["version"])


__version__ = _version()

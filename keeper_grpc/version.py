"""The version of this program. It is written down in pyproject.toml, and nowhere else."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as version_of

DISTRIBUTION = "keeper-grpc"


def version() -> str:
    """The version of the installed distribution, such as 0.1.0; a checkout has none until it is installed."""
    try:
        return version_of(DISTRIBUTION)
    except PackageNotFoundError:
        return "unknown: the program is not installed"

"""The version of this program. It is written down in pyproject.toml, and nowhere else."""

from __future__ import annotations

from importlib.metadata import version as version_of

DISTRIBUTION = "keeper-grpc"


def version() -> str:
    """The version of the installed distribution, such as 0.1.0."""
    return version_of(DISTRIBUTION)

"""The templates by name."""

from __future__ import annotations

from pathlib import Path
from typing import Final

_HERE: Final = Path(__file__).parent

NAMES: Final = tuple(sorted(file.stem for file in _HERE.glob("*.yaml")))
"""What `keeper import --template` takes."""


def template(name: str) -> str:
    """The mapping, for a person to complete where it says `unsure`. `name` is one of NAMES."""
    return (_HERE / f"{name}.yaml").read_text(encoding="utf-8")

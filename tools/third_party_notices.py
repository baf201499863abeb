"""Write THIRD_PARTY_NOTICES.txt: the licence of every distribution that the images hold.

The names come from requirements-dashboard.lock, the texts from the metadata of what is installed, so
that the file says what the packages say. With --check nothing is written; the exit code says whether
the file is up to date. Texts are compared on the lock's first Python only, since other ones have other
versions of a few packages; the names are compared on every one.
"""

from __future__ import annotations

import re
import sys
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
LOCK = ROOT / "requirements-dashboard.lock"
NOTICES = ROOT / "THIRD_PARTY_NOTICES.txt"

FIRST_PYTHON = (3, 11)
"""What tools/lock.sh resolves from."""

_LICENCE = re.compile(
    r"(^|[/_-])(licen[cs]es?|copying|notice|copyright)([._-][^/]*)?$", re.IGNORECASE
)
_RULE = "=" * 80
_HEAD = """Keeper Network Learning is licensed under the Apache License 2.0 (LICENSE). Its images hold the
distributions below, under their own licences. Written by tools/third_party_notices.py.
"""


def locked() -> list[str]:
    """The distributions of the lock that this platform installs."""
    lines = re.findall(r"^(\S[^\\\n]*==[^\\\n]*?)\s*\\?$", LOCK.read_text(), re.MULTILINE)
    requirements = [Requirement(line) for line in lines]
    return sorted(
        requirement.name
        for requirement in requirements
        if requirement.marker is None or requirement.marker.evaluate()
    )


def texts(found: Distribution) -> list[str]:
    """What a distribution says of its licence, each text once."""
    said = []
    for file in found.files or []:
        in_metadata = file.parts[0].endswith(".dist-info")
        if in_metadata and (_LICENCE.search(str(file)) or "licenses" in file.parts):
            said.append(Path(str(file.locate())).read_text(encoding="utf-8", errors="replace"))
    return list(dict.fromkeys(text.strip() for text in said))


def licence(found: Distribution) -> str:
    """The licence in a word or two."""
    declared = found.metadata.get("License-Expression") or ""
    if not declared:
        classifiers = found.metadata.get_all("Classifier") or []
        declared = ", ".join(
            line.rpartition(" :: ")[2] for line in classifiers if line.startswith("License ::")
        )
    first = (found.metadata.get("License") or "").strip().splitlines()
    return declared or (first[0] if first else "")


def section(name: str) -> str:
    """One distribution's part of the file."""
    try:
        found = distribution(name)
    except PackageNotFoundError:
        sys.exit(f"{name} is not installed: run make setup")
    declared, said = licence(found), texts(found)
    if not declared and not said:
        sys.exit(f"{name} states no licence")
    head = f"{_RULE}\n{name} {found.version}\n{declared or 'the text below'}\n{_RULE}\n"
    return "\n".join([head, *(f"{text}\n" for text in said)])


def vendored() -> str:
    """The licences of third_party/: of protos in this repository, and of what wheels carry inside."""
    return "\n".join(
        f"{_RULE}\n{path.parent.relative_to(ROOT)}\n{_RULE}\n\n{path.read_text(encoding='utf-8')}"
        for path in sorted((ROOT / "third_party").glob("*/LICENSE"))
    )


def notices(names: list[str]) -> str:
    """The whole file."""
    return "\n".join([_HEAD, *map(section, names), vendored()])


def main() -> int:
    """Write or check."""
    names = locked()
    if sys.argv[1:] != ["--check"]:
        NOTICES.write_text(notices(names), encoding="utf-8")
        return 0
    written = NOTICES.read_text(encoding="utf-8")
    current = all(f"{_RULE}\n{name} " in written for name in names)
    if sys.version_info[:2] == FIRST_PYTHON:
        current = written == notices(names)
    if not current:
        print("THIRD_PARTY_NOTICES.txt is out of date: run make notices", file=sys.stderr)
    return 0 if current else 1


if __name__ == "__main__":
    sys.exit(main())

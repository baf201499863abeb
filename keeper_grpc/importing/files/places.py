"""Where an import writes: never over a file that is not its own.

An import writes its state and its report of rejected rows. A typing error may name the history, the mapping
or another file there; each is refused before anything is read or sent.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from keeper_grpc.importing.failure import ImportFailed
from keeper_grpc.importing.files.rejects import is_report, partial_of
from keeper_grpc.importing.files.state import is_state

STATE_SUFFIX = ".keeper-import.json"
"""What the state file's name is beside the history's own."""


@dataclass(frozen=True, slots=True)
class Places:
    """Where the state and the report go, symbolic links followed: a link stays one."""

    state: Path
    rejects: Path | None


@dataclass(frozen=True, slots=True)
class _Output:
    """A file to be written. `owns` is whether an existing one is of its kind."""

    option: str
    path: Path
    owns: Callable[[Path], bool]


def find_places(file: Path, mapping: Path, state: Path | None, rejects: Path | None) -> Places:
    """Where to write. Raises ImportFailed for a file that writing there would destroy."""
    places = Places(
        _resolved(state or Path(f"{file}{STATE_SUFFIX}")),
        None if rejects is None else _resolved(rejects),
    )
    taken: dict[str, Path] = {
        "the history": _resolved(file),
        "--mapping": _resolved(mapping),
        # A rename would take what the shell redirected there away from whoever reads it.
        "standard output": Path("/dev/stdout"),
        "standard error": Path("/dev/stderr"),
    }
    for output in _outputs(places):
        _require_apart(output, taken)
        _require_own(output)
        taken[output.option] = output.path
    return places


def _outputs(places: Places) -> Iterator[_Output]:
    yield _Output("--state", places.state, is_state)
    if places.rejects is not None:
        yield _Output("--rejects", places.rejects, is_report)
        yield _Output("the partial file of --rejects", partial_of(places.rejects), is_report)


def _require_apart(output: _Output, taken: Mapping[str, Path]) -> None:
    for name, path in taken.items():
        if _same(output.path, path):
            raise ImportFailed(
                f"{output.path}: {output.option} is the same file as {name}; name another one"
            )


def _require_own(output: _Output) -> None:
    try:
        mode = output.path.stat().st_mode
    except FileNotFoundError:
        return
    except OSError as error:
        raise ImportFailed(f"{output.path}: {error.strerror}") from None
    if not stat.S_ISREG(mode):
        raise ImportFailed(f"{output.path}: {output.option} must be a regular file")
    try:
        own = output.owns(output.path)
    except OSError as error:
        raise ImportFailed(f"{output.path}: {error.strerror}") from None
    if not own:
        raise ImportFailed(
            f"{output.path}: {output.option} would replace a file that no import wrote; "
            "name another one, or remove it"
        )


def _resolved(path: Path) -> Path:
    return Path(os.path.realpath(path))


def _same(one: Path, other: Path) -> bool:
    """Whether two paths are one file, also by hard links."""
    try:
        return one == other or one.samefile(other)
    except OSError:
        return False

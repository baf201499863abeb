from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "tools" / "make_environment.sh"

PROGRAM = """#!/bin/sh
echo "$(basename "$0") $*" >> "$CALLS"
case "$*" in
*"$BROKEN"*) exit 1 ;;
*python_version*) echo "$(basename "$0")" | sed s/python//;;
"-m venv --clear .venv") mkdir -p .venv/bin && cp "$0" .venv/bin/python ;;
*requirements-installer.lock) cp "$0" .venv/bin/uv ;;
esac
"""
"""Stands for every interpreter and for uv: writes its calls down and does what the next ones need."""

BROKEN_PROGRAM = "#!/bin/sh\nexit 127\n"
"""A name that pyenv has put on the PATH for a version that is not active."""


@dataclass(frozen=True)
class Checkout:
    """A checkout with the script, and a PATH of its own."""

    root: Path
    programs: Path

    def has(self, *names: str, program: str = PROGRAM) -> None:
        """Put programs on the PATH."""
        for name in names:
            path = self.programs / name
            path.write_text(program)
            path.chmod(0o755)

    def make(
        self, *, broken: str = "nothing", python: str = ""
    ) -> subprocess.CompletedProcess[str]:
        """Run the script; calls that hold `broken` fail."""
        return subprocess.run(
            ["/bin/sh", self.root / "tools" / SCRIPT.name, "a.lock"],
            env={
                "PATH": str(self.programs),
                "CALLS": str(self.root / "calls"),
                "BROKEN": broken,
                "PYTHON": python,
            },
            capture_output=True,
            text=True,
            check=False,
        )

    def calls(self) -> list[str]:
        """What was called."""
        return (self.root / "calls").read_text().splitlines()


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    """A checkout on a machine without Python."""
    programs = tmp_path / "programs"
    programs.mkdir()
    for name in ("sh", "basename", "dirname", "mkdir", "cp", "sed"):
        found = shutil.which(name)
        assert found is not None
        (programs / name).symlink_to(found)
    (tmp_path / "tools").mkdir()
    shutil.copy(SCRIPT, tmp_path / "tools")
    return Checkout(tmp_path, programs)


def test_the_newest_python_that_runs_is_taken_and_named(checkout: Checkout) -> None:
    """A name that does not run is passed over, and an older one is not asked."""
    checkout.has("python3.13", program=BROKEN_PROGRAM)
    checkout.has("python3.12", "python3.11")

    done = checkout.make()

    assert done.returncode == 0, done.stderr
    assert done.stdout == ".venv: Python 3.12 (python3.12)\n"
    assert not any(call.startswith("python3.11") for call in checkout.calls())


def test_no_python_is_one_clear_line(checkout: Checkout) -> None:
    """It says what was looked for and how to name one."""
    checkout.has("python3.13", "python3", program=BROKEN_PROGRAM)

    done = checkout.make()

    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert "no Python 3.11 or later" in line
    assert "make PYTHON=" in line
    assert not (checkout.root / ".venv").exists()


def test_a_python_that_is_named_is_taken_or_refused(checkout: Checkout) -> None:
    """No other one takes its place without a word."""
    checkout.has("python3.13", "mine")
    checkout.has("other", program=BROKEN_PROGRAM)

    assert "(tried: other)" in checkout.make(python="other").stderr
    assert checkout.make(python="mine").stdout.endswith("(mine)\n")


def test_uv_installs_the_lock_by_its_hashes(checkout: Checkout) -> None:
    """It comes by its own hash; the project comes last, without an index."""
    checkout.has("python3.13")

    done = checkout.make()

    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    *_, installer, _, locked, project = checkout.calls()
    assert installer.endswith("--require-hashes -r requirements-installer.lock")
    assert locked.startswith("uv pip install")
    assert locked.endswith("--require-hashes -r requirements-build.lock -r a.lock")
    assert project.startswith("uv pip install")
    assert project.endswith("--no-index --no-deps --no-build-isolation -e .")


@pytest.mark.parametrize("broken", ["requirements-installer.lock", "--python .venv/bin/python"])
def test_without_uv_pip_installs_the_same_and_says_so(checkout: Checkout, broken: str) -> None:
    """Where uv has no wheel, and where it fails (it reads no pip.conf)."""
    checkout.has("python3.13")

    done = checkout.make(broken=broken)

    assert done.returncode == 0
    (line,) = done.stderr.splitlines()
    assert "pip" in line
    assert "same hashes" in line
    *_, locked, project = checkout.calls()
    assert locked.startswith("python -m pip install")
    assert locked.endswith("--require-hashes -r requirements-build.lock -r a.lock")
    assert project.startswith("python -m pip install")


def test_a_lock_that_nothing_can_install_is_an_error(checkout: Checkout) -> None:
    """No environment is reported as made."""
    checkout.has("python3.13")

    assert checkout.make(broken="a.lock").returncode != 0


def test_an_environment_that_is_there_is_upgraded(checkout: Checkout) -> None:
    """It keeps its Python."""
    checkout.has("python3.12")
    checkout.make()
    checkout.has("python3.13")

    done = checkout.make()

    assert done.returncode == 0
    assert done.stdout == ""


def test_the_script_is_executable() -> None:
    """Make calls it by its name."""
    assert os.access(SCRIPT, os.X_OK)

"""What binds the protos: the image of the last release, and the reference that is written from their comments."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from keeper_grpc.gen.keeper.network.v1 import admin_service_pb2, network_service_pb2
from tests.e2e.deliverables.test_consumers import BUF
from tests.e2e.server_process import REPOSITORY

RELEASED = REPOSITORY / "protos/released.binpb.gz"

BROKEN = 100
"""What `buf breaking` exits with when it found something."""


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """A copy of the protos as they were released, to be changed."""
    for name in ("protos", "third_party"):
        shutil.copytree(REPOSITORY / name, tmp_path / name)
    shutil.copy(REPOSITORY / "buf.yaml", tmp_path)
    released = tmp_path / "protos/released.binpb.gz"
    subprocess.run(
        [BUF, "build", "protos", "--exclude-source-info", "-o", released], cwd=tmp_path, check=True
    )
    return tmp_path


def breaking(directory: Path, against: Path) -> tuple[int, str]:
    """The exit code and the findings of the check that `make lint` makes."""
    done = subprocess.run(
        [BUF, "breaking", "protos", "--against", against],
        cwd=directory,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def replace(file: Path, old: str, new: str) -> None:
    """Change one place of a proto."""
    text = file.read_text()
    assert text.count(old) == 1
    file.write_text(text.replace(old, new))


@pytest.mark.parametrize(
    ("file", "old", "new", "finding"),
    [
        (
            "network_service.proto",
            "  bool include_history = 2;",
            "",
            '"2" with name "include_history" on message "GetPatternRequest" was deleted',
        ),
        (
            "network_service.proto",
            "  bool include_history = 2;",
            "  bool include_history = 7;",
            '"2" with name "include_history" on message "GetPatternRequest" was deleted',
        ),
        (
            "network_service.proto",
            "  bool include_history = 2;",
            "  string include_history = 2;",
            'changed type from "bool" to "string"',
        ),
        (
            "network_service.proto",
            "  rpc GetPattern(GetPatternRequest) returns (GetPatternResponse);",
            "",
            'Previously present RPC "GetPattern"',
        ),
    ],
    ids=["removed field", "renumbered field", "other type", "removed call"],
)
def test_a_change_that_breaks_clients_is_refused(
    workspace: Path, file: str, old: str, new: str, finding: str
) -> None:
    """The check names what a client of the last release would miss."""
    replace(workspace / "protos/keeper/network/v1" / file, old, new)

    code, found = breaking(workspace, workspace / "protos/released.binpb.gz")

    assert (code, finding in found) == (BROKEN, True), found


def test_a_new_field_breaks_nothing(workspace: Path) -> None:
    """Fields are added: the check lets that pass."""
    replace(
        workspace / "protos/keeper/network/v1/network_service.proto",
        "  bool include_history = 2;",
        "  bool include_history = 2;\n  // New.\n  bool include_more = 99;",
    )

    assert breaking(workspace, workspace / "protos/released.binpb.gz") == (0, "")


def test_the_committed_image_is_what_the_protos_must_not_break() -> None:
    """It can be read, and holds both services; `make lint` compares with this file."""
    assert breaking(REPOSITORY, RELEASED) == (0, "")

    listed = subprocess.run(
        [BUF, "build", RELEASED, "--type", "keeper.network.v1.AdminService", "-o", "/dev/null"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert listed.returncode == 0, listed.stderr
    assert "buf breaking protos --against $(RELEASED)" in (REPOSITORY / "Makefile").read_text()


def test_an_image_of_the_same_protos_is_the_same_file(workspace: Path) -> None:
    """A release that changes nothing leaves no difference to commit."""
    again = workspace / "again.binpb.gz"
    subprocess.run(
        [BUF, "build", "protos", "--exclude-source-info", "-o", again], cwd=workspace, check=True
    )

    assert again.read_bytes() == (workspace / "protos/released.binpb.gz").read_bytes()


def test_the_reference_has_every_call_message_field_and_value() -> None:
    """By the descriptors that the server serves, not by the tool that writes the page."""
    page = (REPOSITORY / "docs/reference.md").read_text()
    missing = []
    for file in (network_service_pb2.DESCRIPTOR, admin_service_pb2.DESCRIPTOR):
        for service in file.services_by_name.values():
            missing += [m.name for m in service.methods if f"| `{m.name}` | " not in page]
        for message in file.message_types_by_name.values():
            section = page.partition(f"### {message.name}\n")[2].partition("\n### ")[0]
            missing += [
                f"{message.name}.{field.name}"
                for field in message.fields
                if f"| `{field.name}` | " not in section
            ]
            for enum in message.enum_types:
                missing += [v.name for v in enum.values if f"| `{v.name}` | " not in page]

    assert missing == []


def test_a_reference_that_lags_behind_the_comments_is_noticed(tmp_path: Path) -> None:
    """`make lint` fails until `make gen` has written the page again."""
    copy = tmp_path / "copy"
    for name in ("protos", "third_party", "tools", "docs"):
        shutil.copytree(REPOSITORY / name, copy / name)
    shutil.copy(REPOSITORY / "buf.yaml", copy)
    (copy / ".venv/bin").mkdir(parents=True)
    (copy / ".venv/bin/buf").symlink_to(BUF)
    check: list[str | Path] = [sys.executable, copy / "tools/write_reference.py", "--check"]
    fresh = subprocess.run(check, capture_output=True, text=True, check=False)
    replace(
        copy / "protos/keeper/network/v1/network_service.proto",
        "// Returns one published pattern.",
        "// Returns a pattern.",
    )
    stale = subprocess.run(check, capture_output=True, text=True, check=False)

    assert (fresh.returncode, fresh.stderr) == (0, "")
    assert (stale.returncode, "run `make gen`" in stale.stderr) == (1, True)

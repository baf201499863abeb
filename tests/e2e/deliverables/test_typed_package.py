"""What mypy knows of the package in a project that only has it installed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

CONSUMER = """
from typing import assert_type

from keeper_grpc.client import KeeperClient
from keeper_grpc.gen.keeper.network.v1.pattern_pb2 import Pattern


async def main() -> None:
    async with KeeperClient("127.0.0.1:50051") as keeper:
        pattern = await keeper.get_pattern("00000000-0000-4000-8000-000000000000")
        assert_type(pattern, Pattern)
        assert_type(pattern.action, str)
        assert_type(pattern.evidence.occurrence_count, int)
        await keeper.get_pattern(1)  # line 14
        print(pattern.no_such_field)  # line 15
"""


def test_mypy_sees_the_types_of_the_client_and_of_the_messages(tmp_path: Path) -> None:
    """In strict mode, where what is untyped is an error: what is right passes, what is wrong is found."""
    (tmp_path / "consumer.py").write_text(CONSUMER)
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "mypy",
            "--strict",
            "--cache-dir",
            tmp_path / "cache",
            "consumer.py",
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    *errors, _ = done.stdout.splitlines()

    assert [line.split(":")[1] for line in errors] == ["14", "15"], done.stdout + done.stderr
    assert "[arg-type]" in errors[0]
    assert "[attr-defined]" in errors[1]

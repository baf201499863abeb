from __future__ import annotations

import subprocess
import sys

HEAVY = {"openai", "scipy", "numpy", "asyncpg", "phonenumbers", "keeper_grpc.app"}
"""What takes seconds of CPU to import, all together, and only some commands need."""


def test_a_command_starts_without_what_only_others_need() -> None:
    """Declaring every command loads neither the server nor a model: `keeper --help` is quick."""
    program = "import sys, keeper_grpc.cli; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    loaded = set(done.stdout.split())
    assert "keeper_grpc.cli" in loaded
    assert loaded & HEAVY == set()

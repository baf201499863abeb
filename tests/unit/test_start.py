from __future__ import annotations

import os
import subprocess
import sys

import pytest

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


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("KEEPER_PORT", "abc"),
        ("KEEPER_PSEUDONYM_KEYS", "main:short"),
        ("KEEPER_DATABASE_URL", "postgresql://without-keys/keeper"),
        ("OTEL_TRACES_EXPORTER", "zipkin"),
    ],
)
def test_a_bad_setting_ends_the_start_before_anything_heavy_is_loaded(
    variable: str, value: str
) -> None:
    """A start that cannot succeed says so in a second, not after five."""
    program = (
        "import sys, keeper_grpc.cli; code = keeper_grpc.cli.main(['serve']); "
        "print(code, *sys.modules)"
    )
    clean = {
        name: text for name, text in os.environ.items() if not name.startswith(("KEEPER_", "OTEL_"))
    }
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**clean, variable: value},
        capture_output=True,
        text=True,
        check=True,
    )
    code, *loaded = done.stdout.split()
    assert code == "1"
    assert done.stderr.startswith("keeper: ")
    assert set(loaded) & HEAVY == set()

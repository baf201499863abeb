from __future__ import annotations

import os
import subprocess
import sys

import pytest

from keeper_grpc.cli import SUBCOMMANDS

HEAVY = {
    "asyncpg",
    "cryptography",
    "efficient_apriori",
    "glin_profanity",
    "keeper_grpc.app",
    "keeper_grpc.composition",
    "matplotlib",
    "nicegui",
    "numpy",
    "openai",
    "openpyxl",
    "opentelemetry",
    "pandas",
    "phonenumbers",
    "prometheus_client",
    "protovalidate",
    "pyarrow",
    "scipy",
}
"""What takes seconds of CPU to import, all together, and only some commands need."""

OF_SOME_COMMANDS = HEAVY | {"google.protobuf", "grpc", "pydantic", "rich", "structlog"}
"""What most commands need, but none that only tells of itself."""


IF_ASKED_FOR = {
    "connectrpc",
    "cryptography",
    "jwt",
    "matplotlib",
    "nicegui",
    "onnxruntime",
    "openai",
    "openpyxl",
    "opentelemetry.sdk",
    "pandas",
    "prometheus_client",
    "pyarrow",
    "scipy.sparse",
    "scipy.stats",
    "tokenizers",
    "uvicorn",
    "yaml",
}
"""What a server needs by its settings alone, or in a thread once it has something to do with it."""


def loaded_by(program: str) -> set[str]:
    """The modules that a program has loaded at its end."""
    done = subprocess.run(
        [
            *(sys.executable, "-c"),
            f"import sys\n{program}\nprint(*sys.modules, file=sys.stderr)",
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    return set(done.stderr.split())


@pytest.mark.parametrize("argument", ["--help", "--version"])
def test_the_list_of_commands_loads_none_of_them(argument: str) -> None:
    """Nor what they stand on: neither the wire nor the settings."""
    loaded = loaded_by(
        "from keeper_grpc.cli import main\n"
        f"try: main([{argument!r}])\n"
        "except SystemExit as ended: assert not ended.code"
    )
    assert "keeper_grpc.cli" in loaded
    assert loaded & OF_SOME_COMMANDS == set()


def test_every_command_says_what_it_takes_without_what_it_runs() -> None:
    """Of `keeper NAME --help` none loads the server, a model, a driver or an extra."""
    loaded = loaded_by(
        "from keeper_grpc.cli import SUBCOMMANDS, main\n"
        "for each in SUBCOMMANDS:\n"
        "    try: main([each.name, '--help'])\n"
        "    except SystemExit as ended: assert not ended.code"
    )
    assert {each.module for each in SUBCOMMANDS} <= loaded
    assert loaded & HEAVY == set()


def test_a_server_loads_only_what_its_settings_ask_for() -> None:
    """Exporters, tokens, the other models and the extras are loaded by who names them."""
    loaded = loaded_by("import keeper_grpc.process")
    assert "keeper_grpc.app" in loaded
    assert loaded & IF_ASKED_FOR == set()


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

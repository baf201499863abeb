from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import keeper_grpc

PACKAGE = "keeper_grpc"
ROOT = Path(keeper_grpc.__file__).parent

MAY_IMPORT: dict[str, set[str]] = {
    "domain": set(),
    "usecases": {"domain"},
    "storage": {"domain", "operator_error", "spans"},
    "embedding": {"domain", "operator_error", "spans"},
    "privacy": {"domain", "operator_error"},
    "catalog": {"domain"},
    "access": {"domain", "operator_error"},
    "admission": set(),
    "rpc": {"usecases", "domain", "gen", "spans", "admission"},
    "telemetry": {"usecases", "domain", "embedding", "operator_error", "spans", "admission"},
    "client": {"gen"},
    "importing": {"client", "command", "connecting", "gen", "operator_error"},
    "connecting": {"client", "operator_error"},
    "dashboard": {"client", "command", "connecting", "gen"},
    "settings": {"environment", "operator_error"},
    "environment": set(),
    "version": set(),
    "operator_error": set(),
    "logs": set(),
    "hangup": set(),
    "spans": set(),
    "command": set(),
    "health": {"command", "connecting", "own_tls", "settings"},
    "own_tls": {"client", "connecting", "settings"},
    "terminal": {"client", "command", "connecting", "gen"},
    "gen": set(),
}
"""What each part may import beside itself. Parts not named here see all."""

SEE_ALL = {
    "app",
    "composition",
    "listening",
    "serving_ports",
    "local_operator",
    "models",
    "pseudonym_keys",
    "start_checks",
    "one_shot",
    "cli",
    "logged_settings",
    "operations",
    "process",
    "serve",
    "demo",
    "simulation",
    "workers",
    "backtest",
    "chosen_settings",
}
"""The composition root, and the programs that start from it."""


def part_of(module: str) -> str:
    """The part of the package that a module belongs to: `keeper_grpc.storage.embedding_cache` to storage."""
    return module.split(".")[1] if "." in module else ""


def module_of(path: Path, root: Path) -> str:
    """The dotted name of a file."""
    relative = path.relative_to(root.parent).with_suffix("")
    return ".".join(part for part in relative.parts if part != "__init__")


def imports_of(path: Path, module: str) -> Iterator[tuple[int, str]]:
    """Line and dotted name of each import of a file, also of those within functions."""
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"), filename=str(path))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*above, *([base] if base else [])])
            if (
                base == PACKAGE
            ):  # `from keeper_grpc import logs` imports a module, not a name of one
                yield from ((node.lineno, f"{base}.{alias.name}") for alias in node.names)
            else:
                yield node.lineno, base


def violations(root: Path) -> list[str]:
    """`file:line imports module` for each import that goes the wrong way."""
    found = []
    for path in sorted(root.rglob("*.py")):
        module = module_of(path, root)
        part = part_of(module)
        allowed = MAY_IMPORT.get(part)
        if allowed is None:
            continue
        for line, name in imports_of(path, module):
            if name.split(".")[0] == PACKAGE and part_of(name) not in {part, *allowed}:
                found.append(f"{path.relative_to(root.parent)}:{line} imports {name}")
    return found


def test_imports_go_one_way() -> None:
    """No part of the package imports one that it must not know: MAY_IMPORT."""
    assert violations(ROOT) == []


def test_every_part_has_its_rule() -> None:
    """A new package or module at the top decides what it may see before it is merged."""
    parts = {
        entry.stem
        for entry in ROOT.iterdir()
        if (entry.suffix == ".py" or (entry / "__init__.py").exists()) and entry.stem != "__init__"
    }
    assert parts - MAY_IMPORT.keys() - SEE_ALL == set()


def test_the_domain_stands_on_the_standard_library_and_computation() -> None:
    """No driver, no wire, no logging: what the domain imports is pure."""
    pure = {"cel_expr_python", "efficient_apriori", "glin_profanity", "numpy", "scipy", PACKAGE}
    stray = [
        f"{path.relative_to(ROOT.parent)}:{line} imports {name}"
        for path in sorted((ROOT / "domain").rglob("*.py"))
        for line, name in imports_of(path, module_of(path, ROOT))
        if name.split(".")[0] in {"asyncio", "socket", "logging", "subprocess", "time"}
        or (name.split(".")[0] not in pure and not is_standard(name))
    ]
    assert stray == []


def test_only_telemetry_knows_opentelemetry() -> None:
    """The other rooms keep counters or call a function; all spans are made through spans.py.

    The dashboard reads what processes export, with the parser of Prometheus's format.
    """
    stray = [
        f"{path.relative_to(ROOT.parent)}:{line} imports {name}"
        for path in sorted(ROOT.rglob("*.py"))
        for line, name in imports_of(path, module_of(path, ROOT))
        if name.split(".")[0] in {"opentelemetry", "prometheus_client"}
        and part_of(module_of(path, ROOT)) not in {"telemetry", "spans"}
        and (name, part_of(module_of(path, ROOT))) != ("prometheus_client.parser", "dashboard")
    ]
    assert stray == []


def test_spans_need_the_api_of_opentelemetry_only() -> None:
    """The SDK, the exporters and metrics are telemetry/'s business."""
    path = ROOT / "spans.py"
    names = [
        name
        for _, name in imports_of(path, module_of(path, ROOT))
        if name.startswith("opentelemetry")
    ]
    assert names
    assert [n for n in names if n.split(".")[1:2] not in ([], ["context"], ["trace"])] == []


def is_standard(module: str) -> bool:
    """Whether the standard library has it."""
    return module.split(".", maxsplit=1)[0] in sys.stdlib_module_names


@pytest.mark.parametrize(
    ("file", "source", "complaint"),
    [
        (
            "domain/patterns/pattern.py",
            "import keeper_grpc.storage.embedding_cache",
            "keeper_grpc.storage.embedding_cache",
        ),
        ("usecases/patterns/capture.py", "from keeper_grpc.rpc import convert", "keeper_grpc.rpc"),
        (
            "usecases/patterns/capture.py",
            "from keeper_grpc import settings",
            "keeper_grpc.settings",
        ),
        (
            "storage/embedding_cache.py",
            "from ..usecases.ports import Vector",
            "keeper_grpc.usecases.ports",
        ),
        ("storage/embedding_cache.py", "def f():\n    from .. import app", "keeper_grpc.app"),
        (
            "privacy/layers/names.py",
            "from keeper_grpc.gen.keeper import v1",
            "keeper_grpc.gen.keeper",
        ),
    ],
)
def test_a_violation_names_file_and_import(
    tmp_path: Path, file: str, source: str, complaint: str
) -> None:
    """However an import is written, one in the wrong direction is found and named."""
    path = tmp_path / PACKAGE / file
    path.parent.mkdir(parents=True)
    path.write_text(source)
    line = source.count("\n") + 1

    assert violations(tmp_path / PACKAGE) == [f"{PACKAGE}/{file}:{line} imports {complaint}"]

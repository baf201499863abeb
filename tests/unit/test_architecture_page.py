"""docs/architecture.md names files and symbols: those are there, and it leaves none out."""

from __future__ import annotations

import ast
import importlib
import pkgutil
import re
from functools import cache
from pathlib import Path

import pytest

import keeper_grpc
from keeper_grpc.gen.keeper.network import v1

ROOT = Path(keeper_grpc.__file__).parent
PAGE = ROOT.parent / "docs" / "architecture.md"

FLOORS = ("keeper_grpc/rpc", "keeper_grpc/usecases", "keeper_grpc/storage", "tests")
"""Where the four links of a line lead: handler, use case, SQL, test."""

LINK = re.compile(r"\[([A-Za-z_.]+)\]\(\.\./([^)#]+\.py)\)")


def served() -> set[str]:
    """The RPCs of every service of the package, by its descriptors."""
    modules = [
        importlib.import_module(f"{v1.__name__}.{module.name}")
        for module in pkgutil.iter_modules(v1.__path__)
        if module.name.endswith("_pb2")
    ]
    return {
        method.name
        for module in modules
        for service in module.DESCRIPTOR.services_by_name.values()
        for method in service.methods
    }


def lines() -> dict[str, list[tuple[str, str]]]:
    """Each RPC's line in the table: the symbol and the file of each of its links."""
    table = (
        PAGE.read_text(encoding="utf-8").partition("## Where each RPC is")[2].partition("\n## ")[0]
    )
    return {
        found[1]: LINK.findall(line)
        for line in table.splitlines()
        if (found := re.match(r"\| ([A-Z][A-Za-z]+) \|", line))
    }


@cache
def symbols(file: Path) -> frozenset[str]:
    """The classes, methods and functions of a file, methods as `Class.method`."""
    found = set()
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.add(node.name)
        if isinstance(node, ast.ClassDef):
            found |= {
                f"{node.name}.{inner.name}"
                for inner in node.body
                if isinstance(inner, ast.FunctionDef | ast.AsyncFunctionDef)
            }
    return frozenset(found)


def test_every_rpc_has_a_line_and_every_line_an_rpc() -> None:
    """Of the services in the package; health and reflection are gRPC's own."""
    assert lines().keys() - {"RPC"} == served()


@pytest.mark.parametrize("rpc", sorted(served()))
def test_a_line_leads_to_what_it_names(rpc: str) -> None:
    """A handler of that name, a use case, SQL and a test: each in its floor, and still there."""
    links = lines()[rpc]
    assert len(links) == len(FLOORS)
    for (symbol, file), floor in zip(links, FLOORS, strict=True):
        assert file.startswith(f"{floor}/")
        assert symbol in symbols(ROOT.parent / file)
    assert links[0][0].endswith(f".{rpc}")
    assert links[3][0].startswith("test_")


def test_other_links_lead_to_what_they_name() -> None:
    """Those of the text around the table."""
    links = LINK.findall(PAGE.read_text(encoding="utf-8"))
    assert [link for link in links if link[0] not in symbols(ROOT.parent / link[1])] == []


def test_the_rooms_are_those_of_the_package() -> None:
    """No room that is gone, and none that is missing."""
    block = PAGE.read_text(encoding="utf-8").partition("keeper_grpc/\n")[2].partition("```")[0]
    listed = {line.split()[0].rstrip("/") for line in block.splitlines() if line.strip()}
    rooms = {
        entry.name
        for entry in ROOT.iterdir()
        if entry.name != "__init__.py"
        and (entry.suffix == ".py" or (entry / "__init__.py").exists())
    }
    assert listed == rooms


def test_files_that_the_text_names_are_there() -> None:
    """From the repository's root, or from the package."""
    named = re.findall(r"`([\w/]+\.py)`", PAGE.read_text(encoding="utf-8"))
    assert named
    assert [
        file for file in named if not any((base / file).exists() for base in (ROOT.parent, ROOT))
    ] == []

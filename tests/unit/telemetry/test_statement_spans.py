from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import keeper_grpc.storage
from keeper_grpc.storage.statement_spans import SUMMARIES, summary


@pytest.mark.parametrize(
    ("statement", "verb", "table"),
    [
        ("SELECT 1 FROM accounts WHERE account_key = $1 FOR UPDATE", "SELECT", "accounts"),
        ("\n  INSERT INTO observations (a) VALUES ($1)", "INSERT", "observations"),
        (
            "INSERT INTO sightings VALUES ($1) ON CONFLICT DO UPDATE SET a = 1",
            "INSERT",
            "sightings",
        ),
        ("WITH x AS (SELECT * FROM accounts) UPDATE patterns SET a = 1", "UPDATE", "patterns"),
        ("DELETE FROM accounts WHERE account_key = $1", "DELETE", "accounts"),
        (
            "WITH s AS (SELECT * FROM (SELECT * FROM patterns) p) SELECT * FROM s",
            "SELECT",
            "patterns",
        ),
        ("SELECT count(*) FROM unnest($1::text[]) JOIN words", "SELECT", ""),
        ("SELECT pg_advisory_xact_lock($1)", "SELECT", ""),
        ("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;", "BEGIN", ""),
        ("COMMIT;", "COMMIT", ""),
        ("", "", ""),
    ],
)
def test_a_summary_is_verb_and_table(statement: str, verb: str, table: str) -> None:
    """A write anywhere makes it a write; a lock's UPDATE and an upsert's are none."""
    assert summary(statement) == (verb, table)


def test_a_summary_quotes_nothing_else() -> None:
    """A literal in a statement stays there, whatever it looks like."""
    assert summary("SELECT 1 FROM patterns WHERE type = 'FROM Maria'") == ("SELECT", "patterns")
    assert summary("SELECT 'Maria'") == ("SELECT", "")


def statements() -> Iterator[str]:
    """The constant SQL in the storage package, and the beginnings of the rows that it inserts by column."""
    for path in Path(keeper_grpc.storage.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            match node:
                case ast.Call(
                    func=ast.Name(id="insert_row" | "insert_rows"),
                    args=[_, ast.Constant(value=str(table)), *_],
                ):
                    yield f"INSERT INTO {table} ("
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                text = node.value.strip()
                if re.match(r"(SELECT|INSERT|UPDATE|DELETE|WITH) ", text):
                    yield text


def test_every_statement_of_ours_has_a_summary_that_is_kept() -> None:
    """There are fewer than the cache holds, and those of calls differ by their tables."""
    found = set(statements())
    assert len(found) < SUMMARIES
    assert {
        ("SELECT", "accounts"),
        ("SELECT", "network_patterns"),
        ("INSERT", "observations"),
        ("INSERT", "enhancements"),
        ("UPDATE", "network_patterns"),
    } <= {summary(statement) for statement in found}

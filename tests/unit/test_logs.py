"""What becomes of a library's log lines. In a process of its own: logging is set up for a whole one."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

FORGOTTEN_TASK = """
import asyncio, gc
from keeper_grpc import logs

logs.configure("info", "json")

async def fails():
    raise ValueError("no such guest: zora@mailbox.example")

async def main():
    task = asyncio.create_task(fails())
    await asyncio.wait([task])
    del task
    gc.collect()

asyncio.run(main())
"""

ARGUMENTS = """
import logging
from keeper_grpc import logs

logs.configure("info", "json")
logging.getLogger("library").warning("cannot parse %s", "zora@mailbox.example")
logging.getLogger("library").error("bad value: zora@mailbox.example\\nof zora", stack_info=True)
logging.getLogger("library").error(ValueError("zora@mailbox.example"))
"""


STACK = """
import logging
from keeper_grpc import logs
from keeper_grpc.rpc.defects import report_defect

logs.configure("info", "STYLE")

def fails(value):
    logging.getLogger("library").error("cannot go on", stack_info=True)
    raise ValueError(value)

try:
    fails("zora@mailbox.example")
except ValueError as error:
    logging.getLogger("library").exception("failed")
    report_defect("Method", error)
"""


def logged(program: str) -> list[dict[str, Any]]:
    """The log lines of a program, none of which has the e-mail that its library lines quote."""
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert "zora" not in ran.stderr
    lines = [json.loads(line) for line in ran.stderr.splitlines()]
    for line in lines:
        del line["timestamp"]
    return lines


def test_a_forgotten_tasks_exception_is_logged_by_its_type() -> None:
    """The event loop writes the exception with its message into its own; its words are left of it."""
    assert logged(FORGOTTEN_TASK) == [
        {
            "event": "Task exception was never retrieved",
            "level": "error",
            "logger": "asyncio",
            "error": "ValueError",
        }
    ]


def test_what_is_filled_into_a_librarys_message_is_left_out() -> None:
    """The template stays, up to where a value begins; a message that is an exception is its type."""
    assert [(line["event"], line["logger"]) for line in logged(ARGUMENTS)] == [
        ("cannot parse %s", "library"),
        ("bad value", "library"),
        ("ValueError", "library"),
    ]


@pytest.mark.parametrize("style", ["json", "console"])
def test_a_stack_quotes_no_line_of_source(tmp_path: Path, style: str) -> None:
    """Neither a library's nor that of a defect of ours: a line may hold a value.

    From a file, because every Python finds the lines of one; those of `-c` only since 3.13.
    """
    program = tmp_path / "program.py"
    program.write_text(STACK.replace("STYLE", style))
    ran = subprocess.run([sys.executable, program], capture_output=True, text=True, check=True)
    assert [event in ran.stderr for event in ("cannot go on", "failed", "call_failed")] == [
        True
    ] * 3
    assert f"{program}:13 in <module>" in ran.stderr
    assert f"{program}:10 in fails" in ran.stderr
    for quoted in ("zora", "fails(", "raise", "getLogger"):
        assert quoted not in ran.stderr

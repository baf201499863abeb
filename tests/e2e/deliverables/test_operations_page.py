from __future__ import annotations

from typing import Any

from keeper_grpc.command.arguments import as_typed
from keeper_grpc.settings import PREFIX, Settings
from tests.e2e.server_process import REPOSITORY

PAGE = REPOSITORY / "docs" / "operations.md"

BEGIN, END = "<!-- settings: ", "<!-- /settings -->"


def shown(default: Any) -> str:
    """A default as the table writes it; nothing where a setting has none of its own."""
    typed = as_typed(default)
    return f"`{typed}`" if typed else ""


def table() -> list[str]:
    """The table as the settings say it must be."""
    rows = ["| variable | meaning | default |", "|---|---|---|"]
    for name, field in Settings.model_fields.items():
        default = "" if field.default_factory is not None else shown(field.default)
        rows.append(f"| `{PREFIX}{name.upper()}` | {field.description} | {default} |")
    return rows


def test_the_page_lists_every_setting_as_it_is() -> None:
    """Names, meanings and defaults in docs/operations.md are those of the program."""
    section = PAGE.read_text().partition(BEGIN)[2].partition(END)[0]
    written = [line for line in section.splitlines() if line.startswith("|")]

    assert written == table()

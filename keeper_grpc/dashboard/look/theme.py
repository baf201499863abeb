"""The style sheet of the pages, and their small client-side scripts."""

from __future__ import annotations

from importlib.resources import files

from nicegui import ui

ICON = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32">'
    '<circle cx="16" cy="16" r="12" fill="#c2681a" stroke="#0f8376" stroke-width="7"/></svg>'
)


def install() -> None:
    """Put style and scripts into the head of every page."""
    here = files(__package__)
    css, *scripts = (
        here.joinpath(name).read_text("utf-8") for name in ("theme.css", "theme.js", "picture.js")
    )
    made = "".join(f"<script>{script}</script>" for script in scripts)
    ui.add_head_html(f"<style>{css}</style>{made}", shared=True)

"""The answer to an address that has no page."""

from __future__ import annotations

from importlib.resources import files

from fastapi import Request
from fastapi.responses import HTMLResponse

from keeper_grpc.dashboard.look import theme

_PAGE = """<!doctype html>
<html lang="en-US"><head><meta charset="utf-8"><title>No such page \N{MIDDLE DOT} Keeper Network</title>
<meta name="viewport" content="width=device-width, initial-scale=1"><style>{css}</style></head>
<body><main class="nicegui-content lost-way"><h1>There is no such page</h1>
<p class="lead">The address may be of an older version, or was cut off when it was copied.</p>
<ul><li><a href="/">What the network has learned</a></li>
<li><a href="/patterns">All patterns</a></li>
<li><a href="/emerging">All that is emerging</a></li></ul></main></body></html>
"""


async def not_found(request: Request, error: Exception) -> HTMLResponse:
    """The page, with status 404. It repeats nothing of the address."""
    del request, error
    css = files(theme.__package__ or "").joinpath("theme.css").read_text("utf-8")
    return HTMLResponse(_PAGE.replace("{css}", css), status_code=404)

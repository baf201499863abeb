"""Where the files are: `/patterns.csv`."""

from __future__ import annotations

from collections.abc import AsyncIterator

from fastapi import FastAPI
from fastapi.responses import PlainTextResponse, Response, StreamingResponse

from keeper_grpc.client import KeeperClient, KeeperClientError
from keeper_grpc.dashboard.exports.patterns import patterns_csv
from keeper_grpc.dashboard.listing import Listing


def add_exports(web: FastAPI, client: KeeperClient) -> None:
    """Serve the files."""

    @web.get("/patterns.csv")
    async def patterns(category: str = "", type: str = "", search: str = "") -> Response:  # noqa: A002 - the address's own word
        where = Listing.from_query(
            category=category, type_=type, search=search, sort="", page=""
        ).sought
        lines = patterns_csv(client, where)
        try:
            # A server that cannot be reached is an answer, not a file that breaks off.
            begin = [await anext(lines), await anext(lines, "")]
        except KeeperClientError as error:
            return PlainTextResponse(f"cannot be read now: {error}", status_code=503)
        return StreamingResponse(
            _all(begin, lines),
            media_type="text/csv; charset=utf-8",
            headers={"Content-Disposition": 'attachment; filename="patterns.csv"'},
        )


async def _all(begin: list[str], rest: AsyncIterator[str]) -> AsyncIterator[str]:
    for line in begin:
        yield line
    async for line in rest:
        yield line

"""An address that can be pointed at another server, as a name in DNS or a virtual address is."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from tests.postgres_over_tcp import HOST


@dataclass
class Redirect:
    """Connections that are made from now on go to `target`; those that are open stay where they are."""

    target: int
    port: int = 0
    _open: set[asyncio.StreamWriter] = field(default_factory=set)

    async def forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry bytes both ways until either side ends."""
        try:
            there, back = await asyncio.open_connection(HOST, self.target)
        except OSError:
            writer.close()
            return
        self._open |= {writer, back}
        ways = [asyncio.create_task(carry(reader, back)), asyncio.create_task(carry(there, writer))]
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        writer.close()
        back.close()
        await asyncio.wait(ways)
        self._open -= {writer, back}

    def end(self) -> None:
        """End what is open."""
        for writer in self._open:
            writer.close()


async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One way."""
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()


@asynccontextmanager
async def redirect(target: int) -> AsyncIterator[Redirect]:
    """An address for the block that leads to the port `target` at first."""
    address = Redirect(target)
    server = await asyncio.start_server(address.forward, HOST, 0)
    address.port = server.sockets[0].getsockname()[1]
    try:
        yield address
    finally:
        server.close()
        address.end()

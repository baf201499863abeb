"""TLS in front of a PostgreSQL server, because the bundled one is built without it: the protocol's own upgrade."""

from __future__ import annotations

import asyncio
import ssl
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.e2e.redirect import carry
from tests.integration.connections.certificates import Certificates
from tests.postgres_over_tcp import HOST

SSL_REQUEST = struct.pack("!ii", 8, 80877103)


@asynccontextmanager
async def tls_front(target: int, certificates: Certificates) -> AsyncIterator[int]:
    """The port of a front of the server at the port `target`, for the block. It refuses what is not encrypted."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates.certificate, certificates.key)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            if await reader.readexactly(8) != SSL_REQUEST:
                return
            writer.write(b"S")
            await writer.start_tls(context)
            there, back = await asyncio.open_connection(HOST, target)
        except (OSError, EOFError):
            return
        else:
            ways = [
                asyncio.create_task(carry(reader, back)),
                asyncio.create_task(carry(there, writer)),
            ]
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            back.close()
            writer.close()
            await asyncio.wait(ways)
        finally:
            writer.close()

    server = await asyncio.start_server(serve, HOST, 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()

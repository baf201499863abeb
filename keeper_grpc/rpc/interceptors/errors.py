"""Maps exceptions to statuses."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import grpc

from keeper_grpc.domain.errors import KeeperError
from keeper_grpc.rpc import status
from keeper_grpc.rpc.defects import report_defect
from keeper_grpc.rpc.interceptors.around import Around, Call


class Errors(Around):
    """KeeperErrors get the status of `rpc/status.py`; any other exception becomes INTERNAL without details."""

    @asynccontextmanager
    async def around(self, call: Call) -> AsyncIterator[None]:
        """Abort with the error's status."""
        try:
            yield
        except (asyncio.CancelledError, grpc.aio.AbortError):
            raise
        except KeeperError as error:
            await status.abort(call.context, status.to_status(error))
        except Exception as error:  # noqa: BLE001 - the last line before the caller
            report_defect(call.method, error)
            await status.abort(call.context, status.internal())

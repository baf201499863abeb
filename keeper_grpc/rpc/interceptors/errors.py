"""Turns exceptions into statuses, at one place."""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import grpc
import structlog

from keeper_grpc.domain.errors import KeeperError
from keeper_grpc.rpc import status
from keeper_grpc.rpc.interceptors.around import Around, Call

log = structlog.get_logger()


class Errors(Around):
    """Ours become what `rpc/status.py` says; anything else becomes INTERNAL without a word more.

    Of an unexpected error the log gets type and stack: a database's message may quote a row.
    """

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
            log.error(  # noqa: TRY400 - exception() would log the message
                "call_failed",
                method=call.method,
                error=type(error).__name__,
                stack="".join(traceback.format_tb(error.__traceback__)),
            )
            await status.abort(call.context, status.internal())

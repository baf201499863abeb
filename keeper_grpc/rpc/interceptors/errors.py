"""Maps exceptions to statuses."""

from __future__ import annotations

from keeper_grpc.domain.errors import KeeperError
from keeper_grpc.rpc import status
from keeper_grpc.rpc.defects import report_defect
from keeper_grpc.rpc.interceptors.concern import Call


async def abort_for(call: Call, error: Exception) -> None:
    """Abort: a KeeperError gets the status of `rpc/status.py`, any other exception INTERNAL without details.

    Always raises.
    """
    if isinstance(error, KeeperError):
        await status.abort(call.context, status.to_status(error))
    report_defect(call.method, error)
    await status.abort(call.context, status.internal())

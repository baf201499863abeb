"""Maps exceptions to statuses."""

from __future__ import annotations

from keeper_grpc.domain.errors import KeeperError
from keeper_grpc.rpc import status
from keeper_grpc.rpc.defects import report_defect
from keeper_grpc.rpc.interceptors.concern import Call
from keeper_grpc.rpc.sent import sent


async def abort_for(call: Call, error: Exception) -> None:
    """Abort: a KeeperError gets the status of `rpc/status.py`, any other exception INTERNAL without details.

    Always raises, CancelledError where nobody is there to be told.
    """
    if isinstance(error, KeeperError):
        told = status.to_status(error)
    else:
        report_defect(call.method, error)
        told = status.internal()
    await sent(status.abort(call.context, told))

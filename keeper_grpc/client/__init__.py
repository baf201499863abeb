"""The Python client of the network, asynchronous (KeeperClient) and synchronous (SyncKeeperClient).

    async with KeeperClient("127.0.0.1:50051") as keeper:
        result = await keeper.tournament("account-1", insights)
        best = result.ranked[0]
        enhanced = best.response.enhanced_insight
        print(f"{enhanced.suggested_approach}: {enhanced.expected_success_rate:.0%}, {best.basis}")
        ...
        await keeper.report_outcome("account-1", best.response.enhancement_id, Outcome(success=True))

    keeper = SyncKeeperClient("127.0.0.1:50051")  # a Django view, a Celery task, a script
    answer = keeper.enhance("account-1", insight)

Requests and responses are the API's own messages (`keeper_grpc.gen.keeper.network.v1`): they are the
contract, and a second set of classes would only lag behind it. The methods fill in the envelope
(account, request_id), retry what may be retried, and raise `KeeperClientError`.
"""

from keeper_grpc.client.basis import basis_in_words
from keeper_grpc.client.blocking.keeper import SyncKeeperClient
from keeper_grpc.client.credentials import Credentials, CredentialsUnusable, TokenFile
from keeper_grpc.client.errors import (
    Conflict,
    DeadlineExceeded,
    FieldViolation,
    InvalidRequest,
    KeeperClientError,
    NotFound,
    PreconditionFailed,
    Refused,
    ServerError,
    Unavailable,
)
from keeper_grpc.client.keeper import KeeperClient
from keeper_grpc.client.liveness import Alive, Interrupted
from keeper_grpc.client.retries import Retries
from keeper_grpc.client.tournament import Failed, Ranked, Tournament
from keeper_grpc.client.watch import Changed, EmergingEvent, EmergingNews, SnapshotComplete
from keeper_grpc.client.watch_metrics import MetricsEvent, Reported

__all__ = [
    "Alive",
    "Changed",
    "Conflict",
    "Credentials",
    "CredentialsUnusable",
    "DeadlineExceeded",
    "EmergingEvent",
    "EmergingNews",
    "Failed",
    "FieldViolation",
    "Interrupted",
    "InvalidRequest",
    "KeeperClient",
    "KeeperClientError",
    "MetricsEvent",
    "NotFound",
    "PreconditionFailed",
    "Ranked",
    "Refused",
    "Reported",
    "Retries",
    "ServerError",
    "SnapshotComplete",
    "SyncKeeperClient",
    "TokenFile",
    "Tournament",
    "Unavailable",
    "basis_in_words",
]

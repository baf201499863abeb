"""StreamEmergingPatterns between protos and the domain."""

from __future__ import annotations

from keeper_grpc.domain.emerging.model import Change, EmergingPattern, FeedFilter
from keeper_grpc.gen.keeper.network.v1 import (
    emerging_pb2,
    network_service_pb2,
)
from keeper_grpc.rpc.convert import fields
from keeper_grpc.usecases.emerging.messages import Changed, Message, SnapshotComplete
from keeper_grpc.usecases.stream_lifetime import Heartbeat

_CHANGES = {
    Change.NEW: emerging_pb2.EmergingPattern.CHANGE_NEW,
    Change.UPDATED: emerging_pb2.EmergingPattern.CHANGE_UPDATED,
    Change.PROMOTED: emerging_pb2.EmergingPattern.CHANGE_PROMOTED,
    Change.FADED: emerging_pb2.EmergingPattern.CHANGE_FADED,
}


def feed_filter(request: network_service_pb2.StreamEmergingPatternsRequest) -> FeedFilter:
    """Read the filters of a StreamEmergingPatternsRequest."""
    return FeedFilter(
        pattern_type=request.pattern_type,
        business_category=request.business_category,
        min_accounts=request.min_accounts,
        min_similarity=request.min_similarity,
        min_total_potential_value=request.min_total_potential_value,
        window=request.window.ToTimedelta() if request.HasField("window") else None,
    )


def feed_message(
    message: Message, resume_token: str
) -> network_service_pb2.StreamEmergingPatternsResponse:
    """Write one message of the stream."""
    response = network_service_pb2.StreamEmergingPatternsResponse(resume_token=resume_token)
    match message:
        case Changed(change, cluster):
            response.emerging_pattern.CopyFrom(_emerging(change, cluster))
        case SnapshotComplete(count, expired):
            response.snapshot_complete.count = count
            response.snapshot_complete.resume_token_expired = expired
            response.snapshot_complete.SetInParent()
        case Heartbeat(server_time):
            response.heartbeat.server_time.FromDatetime(server_time)
    return response


def _emerging(change: Change, cluster: EmergingPattern) -> emerging_pb2.EmergingPattern:
    promoted, fading = cluster.promoted_pattern_id, cluster.fading_pattern_id
    return emerging_pb2.EmergingPattern(
        emerging_pattern_id=str(cluster.emerging_pattern_id),
        change=_CHANGES[change],
        pattern_type=cluster.pattern_type,
        business_categories=cluster.business_categories,
        common_pattern=cluster.common_pattern,
        account_count=cluster.account_count,
        sighting_count=cluster.sighting_count,
        mean_similarity=cluster.mean_similarity,
        mean_confidence=cluster.mean_confidence,
        total_potential_value=cluster.total_potential_value,
        first_seen_time=fields.write_time(cluster.first_seen_time),
        last_seen_time=fields.write_time(cluster.last_seen_time),
        promoted_pattern_id=str(promoted) if promoted else "",
        growth_rate=cluster.growth_rate,
        novelty=cluster.novelty,
        label=cluster.label,
        fading_pattern_id=str(fading) if fading else "",
    )

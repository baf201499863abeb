"""SuggestMoves and StreamMoves between protos and the domain."""

from __future__ import annotations

from collections.abc import Sequence

from keeper_grpc.domain.authored.suggestions import SuggestedMove
from keeper_grpc.domain.evidence.publication import PublicationRule
from keeper_grpc.gen.keeper.network.v1 import network_service_pb2, pattern_pb2
from keeper_grpc.rpc.convert import fields, learned_triggers, patterns
from keeper_grpc.rpc.convert.insights import BASES
from keeper_grpc.usecases.advice.moves_feed import (
    Began,
    Ended,
    Event,
    FactUpdate,
    SnapshotComplete,
)
from keeper_grpc.usecases.advice.suggest import Occasion
from keeper_grpc.usecases.stream_lifetime import Heartbeat


def occasion(request: network_service_pb2.SuggestMovesRequest) -> Occasion:
    """Read a SuggestMovesRequest. Raises InvalidInput for what its rules cannot express."""
    return Occasion(
        account_id=request.account_id,
        business_category=request.business_category,
        facts=fields.json_object(request.facts, "facts"),
        max_moves=request.max_moves,
    )


def fact_update(message: network_service_pb2.StreamMovesRequest) -> FactUpdate:
    """Read a StreamMovesRequest. Raises InvalidInput for what its rules cannot express."""
    return FactUpdate(
        account_id=message.account_id,
        business_category=message.business_category,
        facts=fields.json_object(message.facts, "facts"),
    )


def feed_message(event: Event, rule: PublicationRule) -> network_service_pb2.StreamMovesResponse:
    """Write a StreamMovesResponse."""
    response = network_service_pb2.StreamMovesResponse
    match event:
        case Began(move):
            return response(began=_move(move, rule))
        case Ended(pattern_id):
            return response(ended_pattern_id=str(pattern_id))
        case SnapshotComplete():
            return response(snapshot_complete=response.SnapshotComplete())
        case Heartbeat(server_time):
            return response(
                heartbeat=response.Heartbeat(server_time=fields.write_time(server_time))
            )


def suggested(
    moves: Sequence[SuggestedMove], rule: PublicationRule
) -> network_service_pb2.SuggestMovesResponse:
    """Write a SuggestMovesResponse."""
    return network_service_pb2.SuggestMovesResponse(moves=[_move(move, rule) for move in moves])


def _move(move: SuggestedMove, rule: PublicationRule) -> network_service_pb2.Move:
    return network_service_pb2.Move(
        pattern=patterns.pattern(move.pattern, rule),
        trigger=move.trigger,
        expected_success_rate=move.expected_success_rate,
        explanation=move.explanation,
        basis=BASES[move.basis] if move.basis else pattern_pb2.EXPECTATION_BASIS_UNSPECIFIED,
        learned=learned_triggers.message(move.learned) if move.learned else None,
    )

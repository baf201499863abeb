"""Triggers that outcomes taught, from the domain to protos."""

from __future__ import annotations

from keeper_grpc.domain.advice.learned_trigger import LearnedTrigger
from keeper_grpc.gen.keeper.network.v1 import network_service_pb2


def message(trigger: LearnedTrigger) -> network_service_pb2.LearnedTrigger:
    """Write a LearnedTrigger."""
    figures = trigger.figures
    written = network_service_pb2.LearnedTrigger(
        condition=trigger.text,
        precision=figures.precision,
        precision_low=figures.low,
        precision_high=figures.high,
        lift=figures.lift,
        case_count=figures.trials,
        account_count=figures.owners,
    )
    if figures.lead_time is not None:
        written.lead_time.FromTimedelta(figures.lead_time)
    return written

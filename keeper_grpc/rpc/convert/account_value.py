"""GetAccountValue between protos and the domain."""

from __future__ import annotations

from keeper_grpc.domain.metrics.account_value import (
    AccountValue,
    OwnAdvice,
    PeerMeasure,
    Quartiles,
)
from keeper_grpc.domain.metrics.experiment import Experiment
from keeper_grpc.domain.metrics.formulas import ENOUGH, Metric, Unit
from keeper_grpc.gen.keeper.network.v1 import account_value_pb2, network_service_pb2
from keeper_grpc.rpc.convert.metrics import difference, metric, successes_brought, timestamp

_MEASURES = {
    measure: account_value_pb2.PeerQuartiles.Measure.Value(f"MEASURE_{measure.name}")
    for measure in PeerMeasure
}


def value(found: AccountValue) -> network_service_pb2.GetAccountValueResponse:
    """Write a GetAccountValueResponse."""
    return network_service_pb2.GetAccountValueResponse(
        window_start_time=timestamp(found.window_start),
        as_of_time=timestamp(found.as_of),
        advice=_advice(found.advice),
        uplift=_uplift(found.experiment, found.questions) if found.experiment else None,
        given=account_value_pb2.AccountGiven(
            observation_count=found.given.observations,
            shared_pattern_count=found.given.shared_patterns,
            helped_owner_count=found.given.helped_owners,
        ),
        peers=account_value_pb2.Peers(quartiles=[_quartiles(each) for each in found.quartiles])
        if found.quartiles
        else None,
    )


def _advice(found: OwnAdvice) -> account_value_pb2.AccountAdvice:
    return account_value_pb2.AccountAdvice(
        question_count=found.questions,
        advised_count=found.advised,
        shown_count=found.shown,
        accepted_count=found.accepted,
        dismissed_count=found.dismissed,
        done_count=found.done,
        followed_count=found.followed.trials,
        followed_success_count=found.followed.successes,
        followed_revenue=metric(
            Metric(
                found.revenue if found.revenue_count else None, Unit.CURRENCY, found.revenue_count
            )
        ),
    )


def _uplift(found: Experiment, questions: int) -> account_value_pb2.AccountUplift:
    return account_value_pb2.AccountUplift(
        difference=difference(found),
        successes_brought=successes_brought(found),
        advised_count=found.advised.trials,
        advised_success_count=found.advised.successes,
        held_out_count=found.held_out.trials,
        held_out_success_count=found.held_out.successes,
        distinct_question_count=questions,
    )


def _quartiles(found: Quartiles) -> account_value_pb2.PeerQuartiles:
    own = found.own
    return account_value_pb2.PeerQuartiles(
        measure=_MEASURES[found.measure],
        own=metric(Metric(own.rate, Unit.SHARE, own.trials, own.interval()))
        if own.trials >= ENOUGH
        else metric(Metric(None, Unit.SHARE, own.trials)),
        lower_quartile=found.lower,
        median=found.median,
        upper_quartile=found.upper,
        owner_count=found.owners,
    )

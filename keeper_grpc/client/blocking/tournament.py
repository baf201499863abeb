"""A tournament: enhances many insights over one stream, and ranks them by expected value."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence

import grpc

from keeper_grpc.client.blocking.connection import Connection
from keeper_grpc.client.errors import KeeperClientError, from_blocking_call
from keeper_grpc.client.retries import may_retry
from keeper_grpc.client.tournament import WINDOW, Answers, Tournament
from keeper_grpc.gen.keeper.network.v1.network_service_pb2 import (
    EnhanceInsightRequest,
    EnhanceInsightsRequest,
)


def play(
    connection: Connection, requests: Sequence[EnhanceInsightRequest], timeout: float
) -> Tournament:
    """Enhance all, asking again what got no answer, until the attempts or the time are used up.

    Raises KeeperClientError when no question got an answer or an error of its own.
    """
    clock, retries = connection.clock, connection.retries
    answers = Answers(requests)
    deadline = clock.time() + timeout
    failures = 0
    while True:
        broken = _ask(connection, answers, max(0.0, deadline - clock.time()))
        failures += 1
        error = broken or answers.first_retriable_error()
        if error is None:
            return answers.tournament()
        delay = retries.delay(failures, error)
        over = failures >= retries.attempts or clock.time() + delay > deadline
        if over or not may_retry(error):
            if broken:
                answers.give_up(broken)
            return answers.tournament()
        clock.sleep_for(delay)


def _ask(connection: Connection, answers: Answers, timeout: float) -> KeeperClientError | None:
    """Ask the open questions over one stream; the error that broke it, or None."""
    window = threading.Semaphore(WINDOW)
    over = threading.Event()
    # gRPC reads the questions in a thread of its own.
    stream = connection.network.EnhanceInsights(
        _paced(answers.open_questions(), window, over),
        timeout=timeout,
        metadata=connection.metadata,
    )
    try:
        for message in stream:
            window.release()
            answers.take(message)
    except grpc.RpcError as broken:
        return from_blocking_call(broken)
    finally:
        over.set()
        window.release()
        stream.cancel()
    return answers.ended()


def _paced(
    questions: Sequence[EnhanceInsightsRequest], window: threading.Semaphore, over: threading.Event
) -> Iterator[EnhanceInsightsRequest]:
    """The questions, as the window allows, until the stream is over."""
    for question in questions:
        window.acquire()
        if over.is_set():
            return
        yield question

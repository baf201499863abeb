from __future__ import annotations

from dataclasses import replace

import pytest

from keeper_grpc.domain.emerging.model import Change
from keeper_grpc.rpc.streams import emerging
from keeper_grpc.rpc.streams.emerging import Encoder
from keeper_grpc.usecases.emerging.messages import Changed
from tests.integration.emerging.emerging_events import cluster


def test_two_filters_do_not_take_turns() -> None:
    """Each message's bytes are shared, though a message of the same cluster comes in between."""
    encoder = Encoder()
    message = Changed(Change.UPDATED, cluster(1))
    filters = ("one", "other")
    first = [encoder(message, token) for token in filters]
    assert first[0] != first[1]
    for token, encoded in zip(filters, first, strict=True):
        assert encoder(message, token) is encoded


def test_an_equal_change_shares_the_bytes_and_another_state_does_not() -> None:
    """Who resumes reads its own copy; a snapshot's token is the same for every state."""
    encoder = Encoder()
    encoded = encoder(Changed(Change.NEW, cluster(1)), "token")
    assert encoder(Changed(Change.NEW, cluster(1)), "token") is encoded
    grown = Changed(Change.NEW, replace(cluster(1), account_count=4))
    assert encoder(grown, "token") != encoded
    assert encoder(Changed(Change.FADED, cluster(1)), "token") != encoded


def test_only_so_many_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest goes."""
    monkeypatch.setattr(emerging, "SHARED", 2)
    encoder = Encoder()
    message = Changed(Change.NEW, cluster(1))
    first, second, third = [encoder(message, token) for token in ("1", "2", "3")]
    assert encoder(message, "3") is third
    assert encoder(message, "2") is second
    assert encoder(message, "1") is not first
    assert len(encoder._shared) == 2

from __future__ import annotations

import pytest

from keeper_grpc.client import basis_in_words
from keeper_grpc.gen.keeper.network.v1.pattern_pb2 import ExpectationBasis


@pytest.mark.parametrize("basis", [each for each in ExpectationBasis.values() if each])
def test_every_basis_has_words_of_its_own(basis: ExpectationBasis.ValueType) -> None:
    """A basis that is added to the API without words fails here."""
    others = {basis_in_words(each) for each in ExpectationBasis.values() if each != basis}
    assert basis_in_words(basis)
    assert basis_in_words(basis) not in others


@pytest.mark.parametrize("basis", [0, 99])
def test_what_this_client_does_not_know_is_left_out(basis: ExpectationBasis.ValueType) -> None:
    """A newer server's basis is no error, and is not guessed."""
    assert basis_in_words(basis) == ""

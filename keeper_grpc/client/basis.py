"""What an expected success rate was made of, in words for people."""

from __future__ import annotations

from typing import Final

from keeper_grpc.gen.keeper.network.v1 import pattern_pb2

IN_ALL_SITUATIONS: Final = "in all situations together"
"""What a pattern's own success rate is of, which is listed without a question."""

_MADE_OF: Final = {
    pattern_pb2.EXPECTATION_BASIS_SITUATION: "in this situation",
    pattern_pb2.EXPECTATION_BASIS_ADJUSTED: "adjusted to this situation",
    pattern_pb2.EXPECTATION_BASIS_PATTERN: IN_ALL_SITUATIONS,
}


def basis_in_words(basis: pattern_pb2.ExpectationBasis.ValueType) -> str:
    """The basis as it reads after a rate: "87%, adjusted to this situation".

    Empty where the server names none, or one that is newer than this client.
    """
    return _MADE_OF.get(basis, "")

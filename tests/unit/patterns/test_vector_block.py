from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keeper_grpc.domain.patterns.vector_block import SCANNED_WHOLE, Floats, VectorBlock

WIDTH = 96


def cloud(rows: int, spread: float, seed: int) -> Floats:
    """Unit vectors around a few directions, the closer to them the smaller the spread."""
    rng = np.random.default_rng(seed)
    centres = rng.standard_normal((8, WIDTH))
    vectors = centres[rng.integers(8, size=rows)] + spread * rng.standard_normal((rows, WIDTH))
    unit: Floats = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    return unit


@given(
    rows=st.sampled_from([0, 1, 5, 300, SCANNED_WHOLE + 1, 3 * SCANNED_WHOLE]),
    spread=st.sampled_from([0.05, 0.5, 5.0]),
    seed=st.integers(0, 2**32 - 1),
    cleared=st.sampled_from([0.0, 0.3, 0.98]),
    late=st.booleans(),
)
def test_a_search_finds_what_a_scan_of_everything_finds(
    rows: int, spread: float, seed: int, cleared: float, late: bool
) -> None:
    """Whatever was taken in and cleared, before or after the directions were found, however alike the vectors are."""
    vectors = cloud(rows, spread, seed)
    rng = np.random.default_rng(seed)
    block = VectorBlock(WIDTH, 16)
    held: dict[int, Floats] = {}
    for place, vector in enumerate(vectors):
        held[block.add(vector)] = vector
        if late and place == rows // 2:
            block.prepare()
    if not late:
        block.prepare()
    for row in list(held):
        if rng.random() < cleared:
            block.clear(row)
            del held[row]
    for vector in cloud(rows // 10, spread, seed + 1):
        held[block.add(vector)] = vector
    asked = cloud(1, spread, seed + 2)[0]
    assert len(block) == len(held)

    cosines = {row: float(vector @ asked) for row, vector in held.items()}
    found, near = block.nearest(asked, 20)
    assert near == pytest.approx(sorted(cosines.values(), reverse=True)[:20], abs=1e-5)
    assert near == pytest.approx([cosines[row] for row in found.tolist()], abs=1e-5)

    flags = rng.random(block.rows) < 0.5
    rows_above, above = block.at_least(asked, 0.3, flags)
    expected = {row for row, cosine in cosines.items() if flags[row] and cosine >= 0.3}
    borderline = {row for row, cosine in cosines.items() if abs(cosine - 0.3) < 1e-5}
    assert set(rows_above.tolist()) ^ expected <= borderline
    assert list(above) == sorted(above, reverse=True)


def test_nothing_of_a_cleared_vector_stays_in_memory() -> None:
    """The row is zeros until another vector takes it."""
    block = VectorBlock(4)
    row = block.add(np.array([1, 2, 2, 0], np.float32))
    block.clear(row)
    assert not block.cosines(np.array([1, 1, 1, 1], np.float32), np.array([row])).any()
    assert len(block) == 0


def test_directions_spare_most_rows_of_vectors_that_are_alike() -> None:
    """Of thousands of vectors around a few directions, few are computed in full."""
    vectors = cloud(4 * SCANNED_WHOLE, 0.2, 1)
    block = VectorBlock(WIDTH, len(vectors))
    for vector in vectors:
        block.add(vector)
    block.prepare()
    assert len(block.candidates(vectors[0], 20)) < len(vectors) / 4

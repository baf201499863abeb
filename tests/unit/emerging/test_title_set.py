from __future__ import annotations

import pytest

from bench.titles import SPLITS, judged


@pytest.mark.parametrize("split", SPLITS)
def test_titles_of_the_labelled_set_can_be_read(split: str) -> None:
    """Nine of ten in each half, and none is a list of nouns or shows a mask."""
    titles = [each for each in judged() if each.split == split]
    assert len(titles) == 10
    faults = [fault for each in titles for fault in each.faults]
    assert len(faults) <= 1, titles
    assert not {"a list of nouns", "shows a mask"} & set(faults), titles

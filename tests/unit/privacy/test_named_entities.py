"""The optional second opinion of a named-entity model."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from keeper_grpc.privacy.evaluation.named_entities import names_left, spacy_people


def capitals(text: str) -> Iterator[tuple[int, int]]:
    """A model that takes the words at 0 to 8 and from 13 on for people."""
    yield 0, 8
    yield 13, len(text)


def test_roles_are_no_names_and_what_is_left_is_reported() -> None:
    """A model may take a role for a person; only text outside of roles counts."""
    assert names_left("[person] and Zork", capitals) == [(13, 17)]


def test_the_extra_is_not_imported_unless_asked_for() -> None:
    """Without the extra the layer is absent, and asking for it says so."""
    with pytest.raises(ImportError):
        spacy_people("no_such_model")

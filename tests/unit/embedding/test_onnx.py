from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from keeper_grpc.domain.patterns.merging.similarity import Thresholds
from keeper_grpc.embedding.embedder import DIMENSIONS, Embedder
from keeper_grpc.embedding.onnx import OnnxEmbedder, OnnxModel, mean_pooling
from keeper_grpc.embedding.unusable import ModelUnusable
from tests.unit.embedding.tiny_onnx_model import write_card, write_model


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """A complete model directory, for a test to spoil."""
    write_model(tmp_path)
    return tmp_path


async def test_a_directory_becomes_an_embedder(directory: Path) -> None:
    """Id and thresholds come from keeper.json, vectors from the graph, averaged over the words."""
    embedder: Embedder = OnnxEmbedder(directory)
    vectors = await embedder.embed(["north", "north east"])
    expected = np.zeros((2, DIMENSIONS))
    expected[0, 0] = 1
    expected[1, :2] = 0.5**0.5
    np.testing.assert_allclose(vectors, expected, atol=1e-6)
    assert embedder.model == "tiny/1/sentence-1"
    assert embedder.thresholds == Thresholds(merge=0.9, cluster=0.8, retrieval=0.4)
    await embedder.aclose()


async def test_the_layout_of_the_hub_is_found(directory: Path) -> None:
    """The graph may lie in onnx/, as exports of sentence-transformers have it."""
    (directory / "onnx").mkdir()
    (directory / "model.onnx").rename(directory / "onnx" / "model.onnx")
    embedder = OnnxEmbedder(directory)
    assert (await embedder.embed(["up"]))[0, 2] == 1
    await embedder.aclose()


def test_a_model_of_the_first_token_is_pooled_so(directory: Path) -> None:
    """1_Pooling/config.json decides whether the first token stands for the sentence."""
    (directory / "1_Pooling").mkdir()
    config = {"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}
    (directory / "1_Pooling" / "config.json").write_text(json.dumps(config))
    np.testing.assert_allclose(OnnxModel(directory).encode("east north"), [0, 1, 0])


def test_long_texts_are_cut_where_the_model_ends(directory: Path) -> None:
    """sentence_bert_config.json's limit applies: words beyond it change nothing."""
    (directory / "sentence_bert_config.json").write_text('{"max_seq_length": 2}')
    model = OnnxModel(directory)
    np.testing.assert_array_equal(model.encode("north east up up"), model.encode("north east"))


def test_padding_does_not_count_in_the_mean() -> None:
    """Only tokens that the mask marks are averaged."""
    tokens = np.array([[1.0, 3.0], [3.0, 5.0], [100.0, 100.0]])
    np.testing.assert_allclose(mean_pooling(tokens, np.array([1, 1, 0])), [2.0, 4.0])
    np.testing.assert_allclose(mean_pooling(tokens, np.array([0, 0, 0])), [0.0, 0.0])


@pytest.mark.parametrize("name", ["model.onnx", "tokenizer.json", "keeper.json"])
def test_a_missing_file_stops_the_start(directory: Path, name: str) -> None:
    """The error names the file that is not there."""
    (directory / name).unlink()
    with pytest.raises(ModelUnusable, match=name):
        OnnxEmbedder(directory)


@pytest.mark.parametrize("name", ["model.onnx", "tokenizer.json", "keeper.json"])
def test_a_garbled_file_stops_the_start(directory: Path, name: str) -> None:
    """Bytes that are no such file raise the start-up error, not one of a library."""
    (directory / name).write_bytes(b"not what it says")
    with pytest.raises(ModelUnusable):
        OnnxEmbedder(directory)


def test_a_missing_directory_stops_the_start(tmp_path: Path) -> None:
    """A path that is no directory is said to be none."""
    with pytest.raises(ModelUnusable, match="not a directory"):
        OnnxEmbedder(tmp_path / "nowhere")


@pytest.mark.parametrize(
    "changes",
    [
        {"merge": 1.2},
        {"merge": "high"},
        {"cluster": True},
        {"retrieval": None},
        {"cluster": 0.95},
        {"name": ""},
        {"name": "a/b"},
        {"version": 1},
    ],
    ids=str,
)
def test_an_odd_card_stops_the_start(directory: Path, changes: dict[str, object]) -> None:
    """Thresholds that are no ascending cosines and names that are no names are refused."""
    write_card(directory, **changes)
    with pytest.raises(ModelUnusable, match=r"keeper\.json"):
        OnnxEmbedder(directory)


def test_a_graph_of_another_kind_stops_the_start(directory: Path) -> None:
    """A graph that wants pixels is no sentence model."""
    write_model(directory, inputs=("pixels",))
    with pytest.raises(ModelUnusable, match="pixels"):
        OnnxEmbedder(directory)


def test_a_graph_that_answers_oddly_stops_the_start(directory: Path) -> None:
    """A graph whose sentence_embedding is one vector a token is found out before serving."""
    write_model(directory, output="sentence_embedding")
    with pytest.raises(ModelUnusable, match="does not embed"):
        OnnxEmbedder(directory)


def test_unknown_pooling_stops_the_start(directory: Path) -> None:
    """Pooling that is not implemented is refused instead of silently replaced."""
    (directory / "1_Pooling").mkdir()
    (directory / "1_Pooling" / "config.json").write_text('{"pooling_mode_max_tokens": true}')
    with pytest.raises(ModelUnusable, match="pooling"):
        OnnxEmbedder(directory)


@pytest.mark.parametrize("module", ["onnxruntime", "tokenizers"])
def test_a_missing_extra_names_itself(
    directory: Path,
    monkeypatch: pytest.MonkeyPatch,
    module: str,
) -> None:
    """Without the extra the error says what to install."""
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ModelUnusable, match=r"keeper-grpc\[onnx\]"):
        OnnxEmbedder(directory)

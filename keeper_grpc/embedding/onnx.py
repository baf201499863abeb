"""Any sentence-transformers model exported to ONNX, from a directory on disk.

The directory holds `model.onnx` (or `onnx/model.onnx`), `tokenizer.json`, what sentence-transformers
writes beside them (`1_Pooling/config.json`, `sentence_bert_config.json`; both optional) and
`keeper.json`, the model's name and its thresholds from bench/thresholds.py:

    {"name": "all-MiniLM-L6-v2", "version": "int8-1", "merge": 0.85, "cluster": 0.70, "retrieval": 0.40,
     "sentence": 0.75, "action": 0.80}

What `Thresholds` has a default for may be left out.

Change `version` whenever a file changes: vectors of different versions are never compared.
"""

from __future__ import annotations

import json
from dataclasses import MISSING, fields
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from keeper_grpc.domain.insight import RENDERING
from keeper_grpc.domain.patterns.merging.similarity import Thresholds
from keeper_grpc.embedding.threaded import MAX_WAITING, ThreadedEmbedder
from keeper_grpc.embedding.unusable import ModelUnusable
from keeper_grpc.embedding.vectors import NotAnEmbedding, unit_vectors

if TYPE_CHECKING:
    from tokenizers import Tokenizer

MAX_TOKENS = 512
"""Longest input of the BERT family, for a directory that does not say."""

THREADS = 1
"""Threads of one inference: short texts gain little from a second, which other requests need."""


def mean_pooling(tokens: NDArray[Any], mask: NDArray[Any]) -> NDArray[Any]:
    """The average of the token vectors that are text and not padding.

    Shapes: tokens (length, width), mask (length,) of 0 and 1; returns (width,).
    """
    weights = mask.astype(np.float32)[:, None]
    return np.asarray((tokens * weights).sum(axis=0) / max(float(weights.sum()), 1.0))


class OnnxGraph:
    """A graph and its tokenizer: one text to one vector of the model's own width.

    `mean` averages the token vectors; otherwise the first one stands for the sentence.

    Raises:
        ModelUnusable: the file is not the graph of a sentence model.
    """

    def __init__(self, graph: Path, tokenizer: Tokenizer, longest: int, *, mean: bool) -> None:
        onnxruntime = _installed("onnxruntime")
        self._tokenizer = tokenizer
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(longest)
        self._mean = mean
        try:
            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads = THREADS
            options.inter_op_num_threads = THREADS
            self._session = onnxruntime.InferenceSession(
                str(graph),
                options,
                providers=["CPUExecutionProvider"],
            )
        except Exception as error:  # the library raises bare Exceptions of its own
            raise ModelUnusable(f"{graph}: the model does not load: {error}") from error
        self._inputs = [node.name for node in self._session.get_inputs()]
        outputs = [node.name for node in self._session.get_outputs()]
        self._pooled = "sentence_embedding" in outputs
        self._output = "sentence_embedding" if self._pooled else outputs[0]
        unknown = set(self._inputs) - {"input_ids", "attention_mask", "token_type_ids"}
        if "input_ids" not in self._inputs or unknown:
            raise ModelUnusable(
                f"{graph}: the graph's inputs are {', '.join(self._inputs)}; a sentence model "
                "takes input_ids and at most attention_mask and token_type_ids",
            )

    def encode(self, text: str) -> NDArray[Any]:
        """The vector of `text`, shape (width,), of any length.

        Raises:
            NotAnEmbedding: the graph answers in another shape than a sentence model does.
        """
        encoding = self._tokenizer.encode(text)
        mask = np.asarray(encoding.attention_mask, dtype=np.int64)
        given = {
            "input_ids": np.asarray([encoding.ids], dtype=np.int64),
            "attention_mask": mask[None, :],
            "token_type_ids": np.asarray([encoding.type_ids], dtype=np.int64),
        }
        feed = {name: given[name] for name in self._inputs}
        answer = np.asarray(self._session.run([self._output], feed)[0])
        expected = (1,) if self._pooled else (1, len(mask))
        if answer.shape[:-1] != expected:
            raise NotAnEmbedding(f"{self._output} has shape {answer.shape}")
        if self._pooled:
            return np.asarray(answer[0])
        return mean_pooling(answer[0], mask) if self._mean else np.asarray(answer[0, 0])


class OnnxModel(OnnxGraph):
    """The graph of a directory, with what lies beside it.

    Raises:
        ModelUnusable: the extra is not installed, or the directory is not such a model.
    """

    def __init__(self, directory: Path) -> None:
        tokenizers = _installed("tokenizers")
        graph = _first_file(directory, "model.onnx", "onnx/model.onnx")
        vocabulary = _first_file(directory, "tokenizer.json")
        mean, longest = _pools_by_mean(directory), _max_tokens(directory)
        try:
            tokenizer = tokenizers.Tokenizer.from_file(str(vocabulary))
        except Exception as error:  # the library raises bare Exceptions of its own
            raise ModelUnusable(f"{vocabulary}: the tokenizer does not load: {error}") from error
        super().__init__(graph, tokenizer, longest, mean=mean)


class OnnxEmbedder(ThreadedEmbedder):
    """An ONNX sentence model under the `Embedder` contract, in a thread of its own.

    Constructing it loads the model and embeds one text: once constructed, it is ready.

    Raises:
        ModelUnusable: as OnnxModel, or `keeper.json` is missing or odd.
    """

    def __init__(self, directory: Path, *, max_waiting: int = MAX_WAITING) -> None:
        model, thresholds = _card(directory)
        graph = OnnxModel(directory)
        try:
            unit_vectors(graph.encode("ready")[None, :])
        except Exception as error:  # onnxruntime raises bare Exceptions of its own
            raise ModelUnusable(f"{directory}: the model does not embed: {error}") from error
        super().__init__(model, thresholds, graph.encode, max_waiting=max_waiting)


def _installed(name: str) -> Any:
    """A library of the `onnx` extra: 60 MB that only such a model needs."""
    try:
        return import_module(name)
    except ImportError as error:
        raise ModelUnusable(
            f"{name} is missing: install keeper-grpc[onnx], or [minilm] for KEEPER_EMBEDDER=minilm; "
            "KEEPER_EMBEDDER=local needs neither"
        ) from error


def _first_file(directory: Path, *names: str) -> Path:
    if not directory.is_dir():
        raise ModelUnusable(f"{directory} is not a directory")
    for name in names:
        if (directory / name).is_file():
            return directory / name
    raise ModelUnusable(f"{directory} has no {' or '.join(names)}")


def _json_object(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ModelUnusable(f"{path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise ModelUnusable(f"{path} is not JSON: {error}") from error
    if not isinstance(content, dict):
        raise ModelUnusable(f"{path} is not a JSON object")
    return content


def _card(directory: Path) -> tuple[str, Thresholds]:
    """The model id and the thresholds that `keeper.json` declares."""
    path = _first_file(directory, "keeper.json")
    card = _json_object(path)
    name, release = card.get("name"), card.get("version")
    for value in (name, release):
        # A slash would make two different (name, version) pairs into one id.
        if not isinstance(value, str) or not value or "/" in value:
            raise ModelUnusable(f"{path}: name and version must be strings without '/'")
    cosines: dict[str, float] = {}
    for field in fields(Thresholds):
        key = field.name
        if key not in card and field.default is not MISSING:
            continue
        value = card.get(key)
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= 1:
            raise ModelUnusable(
                f"{path}: {key} must be a cosine in (0, 1]; bench/thresholds.py suggests one",
            )
        cosines[key] = float(value)
    thresholds = Thresholds(**cosines)
    if not thresholds.retrieval <= thresholds.cluster <= thresholds.merge:
        raise ModelUnusable(f"{path}: retrieval <= cluster <= merge must hold")
    return f"{name}/{release}/{RENDERING}", thresholds


def _pools_by_mean(directory: Path) -> bool:
    """Whether token vectors are averaged (True) or the first one stands for all (False)."""
    path = directory / "1_Pooling" / "config.json"
    if not path.is_file():
        return True
    pooling = _json_object(path)
    modes = {key for key, value in pooling.items() if key.startswith("pooling_mode") and value}
    if modes == {"pooling_mode_mean_tokens"}:
        return True
    if modes == {"pooling_mode_cls_token"}:
        return False
    raise ModelUnusable(
        f"{path}: only pooling by mean or by the first token is served; "
        "export the graph with a sentence_embedding output",
    )


def _max_tokens(directory: Path) -> int:
    path = directory / "sentence_bert_config.json"
    if not path.is_file():
        return MAX_TOKENS
    limit = _json_object(path).get("max_seq_length", MAX_TOKENS)
    if not isinstance(limit, int) or limit < 1:
        raise ModelUnusable(f"{path}: max_seq_length must be a positive number")
    return limit

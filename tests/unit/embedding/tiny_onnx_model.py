"""Writes a sentence-transformers directory of a few hundred bytes, without the onnx package.

The graph is one Gather: a token's vector is its row of a table. It is written field by field in
protobuf's wire format; the numbers are those of onnx.proto (https://github.com/onnx/onnx, IR 8).
"""

from __future__ import annotations

import json
import struct
from pathlib import Path

from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace

WORDS = ("[UNK]", "north", "east", "up", "ready")
TABLE = ((1.0, 1.0, 1.0), (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0), (1.0, 1.0, 0.0))
"""The vector of each word of WORDS."""

FLOAT, INT64 = 1, 7
"""TensorProto.DataType."""


def write_model(
    directory: Path,
    *,
    inputs: tuple[str, ...] = ("input_ids", "attention_mask"),
    output: str = "last_hidden_state",
) -> None:
    """Fills `directory` with model.onnx, tokenizer.json and keeper.json."""
    (directory / "model.onnx").write_bytes(_model(inputs, output))
    vocabulary = {word: number for number, word in enumerate(WORDS)}
    tokenizer = Tokenizer(WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()
    tokenizer.save(str(directory / "tokenizer.json"))
    write_card(directory)


def write_card(directory: Path, **changes: object) -> None:
    """keeper.json with these fields changed."""
    card = {"name": "tiny", "version": "1", "merge": 0.9, "cluster": 0.8, "retrieval": 0.4}
    (directory / "keeper.json").write_text(json.dumps({**card, **changes}))


def _model(inputs: tuple[str, ...], output: str) -> bytes:
    rows, width = len(TABLE), len(TABLE[0])
    flat = [component for row in TABLE for component in row]
    table = (
        _number(1, rows)
        + _number(1, width)
        + _number(2, FLOAT)
        + _bytes(8, b"table")
        + _bytes(9, struct.pack(f"<{len(flat)}f", *flat))
    )
    node = _bytes(1, b"table") + _bytes(1, inputs[0].encode()) + _bytes(2, output.encode())
    graph = _bytes(1, node + _bytes(4, b"Gather")) + _bytes(2, b"tiny") + _bytes(5, table)
    for name in inputs:
        graph += _bytes(11, _tensor(name, INT64, ("batch", "length")))
    graph += _bytes(12, _tensor(output, FLOAT, ("batch", "length", width)))
    return _number(1, 8) + _bytes(7, graph) + _bytes(8, _number(2, 13))


def _tensor(name: str, kind: int, axes: tuple[str | int, ...]) -> bytes:
    shape = b"".join(
        _bytes(1, _number(1, axis) if isinstance(axis, int) else _bytes(2, axis.encode()))
        for axis in axes
    )
    tensor = _bytes(1, _number(1, kind) + _bytes(2, shape))
    return _bytes(1, name.encode()) + _bytes(2, tensor)


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _bytes(field: int, value: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(value)) + value


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])

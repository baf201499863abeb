"""A situation, cut into facets by which outcomes can be compared.

The whole of the conditions is one facet, each single fact another: "it worked in just this
situation" and "it worked on Mondays" are different evidence, and there is more of the second.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping

from keeper_grpc.domain.insight import JsonValue

_JSON = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False)
"""Kept: to make one takes longer than to write a fact."""

MAX_FACTS = 32
"""Facts that are counted singly. More conditions than any engine sends; bounds a capture's writes."""

MAX_FACT_LENGTH = 120
"""Characters. A longer value is prose, not a fact; its hash stands for it."""


def whole(conditions: Mapping[str, JsonValue]) -> str:
    """The facet of the situation as a whole: equal for equal conditions, in any order."""
    digest = hashlib.blake2b(_canonical(dict(conditions)).encode(), digest_size=16)
    return f"whole:{digest.hexdigest()}"


def facts(conditions: Mapping[str, JsonValue]) -> tuple[str, ...]:
    """The facets of single facts, `key=value`, by key."""
    return tuple(_fact(key, conditions[key]) for key in sorted(conditions)[:MAX_FACTS])


def facets(conditions: Mapping[str, JsonValue]) -> tuple[str, ...]:
    """All facets of a situation: the whole first."""
    return (whole(conditions), *facts(conditions))


def fact_key(facet: str) -> str:
    """The key of the condition that a single fact's facet is of."""
    return re.split("[=#]", facet, maxsplit=1)[0]


def read_fact(facet: str) -> tuple[str, JsonValue] | None:
    """The key and value of a single fact's facet; None where only a hash of it is known."""
    key, is_fact, value = facet.partition("=")
    return (key, json.loads(value)) if is_fact else None


def _fact(key: str, value: JsonValue) -> str:
    fact = f"{key}={_canonical(value)}"
    if len(fact) <= MAX_FACT_LENGTH:
        return fact
    return f"{key}#{hashlib.blake2b(fact.encode(), digest_size=16).hexdigest()}"


def _canonical(value: JsonValue) -> str:
    """JSON with sorted keys; whole floats as integers, since JSON does not tell them apart."""
    return _JSON.encode(_plain(value))


def _plain(value: JsonValue) -> JsonValue:
    match value:
        case float() if value.is_integer():
            return int(value)
        case dict():
            return {key: _plain(item) for key, item in value.items()}
        case list():
            return [_plain(item) for item in value]
        case _:
            return value

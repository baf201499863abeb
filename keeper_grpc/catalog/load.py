"""Reads the catalog: `catalog.json` with the trade's service names, and `patterns/` with a file for each type.

People edit the files, so they are checked whenever they are read: unknown keys, wrong types, duplicate names and
malformed placeholders are errors that name the place.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import resources
from typing import Annotated, ClassVar, TypeAlias

from pydantic import (
    AfterValidator,
    ConfigDict,
    Field,
    FiniteFloat,
    StringConstraints,
    TypeAdapter,
    ValidationError,
)

from keeper_grpc.domain.authored.triggers import parse_trigger
from keeper_grpc.domain.patterns.claim import Claim
from keeper_grpc.domain.patterns.screen import objection, objection_to_action

_STRICT = ConfigDict(extra="forbid", strict=True)
_PLACEHOLDER = re.compile(r"\{[a-z][a-z0-9_]*\}")


class CatalogInvalid(ValueError):
    """The catalog file breaks its own rules. The message has one line per fault: place and rule."""


def _well_formed(script: str) -> str:
    if re.search(r"[{}]", _PLACEHOLDER.sub("", script)):
        raise ValueError("a placeholder must look like {snake_case}")
    return script


def _unique(names: tuple[str, ...]) -> tuple[str, ...]:
    if repeated := _repeated(name.casefold() for name in names):
        raise ValueError(f"repeated: {', '.join(repeated)}")
    return names


def _type_checked(trigger: str) -> str:
    parse_trigger(trigger)
    return trigger


Snake: TypeAlias = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
# A line of prose: not empty, without line breaks and without a space at either end.
Line: TypeAlias = Annotated[str, StringConstraints(pattern=r"^\S(?:[^\r\n]*\S)?$", max_length=1000)]
Version: TypeAlias = Annotated[int, Field(ge=1)]
Share: TypeAlias = Annotated[FiniteFloat, Field(gt=0, lt=1)]
Scalar: TypeAlias = bool | int | FiniteFloat | Line


@dataclass(frozen=True, slots=True)
class Improvement:
    """Results become `factor` times as good within `days`."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    factor: Annotated[FiniteFloat, Field(gt=1)]
    days: Annotated[int, Field(ge=1)]


@dataclass(frozen=True, slots=True)
class CatalogClaims:
    """What the pattern's author claims; None where the author claims nothing.

    Claims are shown as such and never counted among a pattern's trials. `learned_from` is a number of
    businesses, `monthly_revenue_dollars` additional revenue a month on average, `rating_improvement`
    stars on average. Rates are shares, never 0 or 1: a prior that is certain would never learn.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    success_rate: Share | None = None
    learned_from: Annotated[int, Field(ge=1)] | None = None
    monthly_revenue_dollars: Annotated[FiniteFloat, Field(gt=0)] | None = None
    adoption_rate: Share | None = None
    rating_improvement: Annotated[FiniteFloat, Field(gt=0, le=4)] | None = None
    """Of ratings from 1 to 5 stars."""
    improvement: Improvement | None = None


@dataclass(frozen=True, slots=True)
class CatalogScript:
    """One wording of a pattern's action, with {placeholders}; a pattern's wordings differ in `tone`."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    tone: Snake
    text: Annotated[Line, AfterValidator(_well_formed)]


@dataclass(frozen=True, slots=True)
class CatalogPattern:
    """One authored pattern.

    `key` and `version` identify it across releases of the file: a higher version replaces a lower.
    `action_since` is the version since which the action reads as it does. `trigger` is a CEL expression over an
    account's facts; see domain/authored/triggers.py. `reason` says why the author claims what is claimed, and
    `guardrails` what whoever follows the advice must not do.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    key: Snake
    version: Version
    action_since: Version
    pattern_type: Snake
    business_categories: Annotated[tuple[Snake, ...], Field(min_length=1), AfterValidator(_unique)]
    trigger: Annotated[Line, AfterValidator(_type_checked)]
    conditions: Annotated[dict[Snake, Scalar], Field(min_length=1)]
    action: Line
    scripts: Annotated[tuple[CatalogScript, ...], Field(min_length=1, max_length=5)]
    follow_up_action: Line | None
    claims: CatalogClaims
    reason: Line
    guardrails: tuple[Line, ...]

    def __post_init__(self) -> None:
        said = [self.action, self.follow_up_action or "", self.reason, *self.guardrails]
        said += [f"{key.replace('_', ' ')}: {value}" for key, value in self.conditions.items()]
        if any(map(objection_to_action, said)) or any(objection(s.text) for s in self.scripts):
            raise ValueError("holds a text that the screen of what is shown stops")
        if repeated := _repeated(script.tone for script in self.scripts):
            raise ValueError(f"repeated tone: {', '.join(repeated)}")
        if self.action_since > self.version:
            raise ValueError("action_since must not be above version")

    def claim(self) -> Claim:
        """The claim as the domain's type."""
        improvement = self.claims.improvement
        return Claim(
            follow_up_action=self.follow_up_action or "",
            reason=self.reason,
            guardrails=self.guardrails,
            success_rate=self.claims.success_rate,
            learned_from=self.claims.learned_from,
            monthly_revenue_dollars=self.claims.monthly_revenue_dollars,
            adoption_rate=self.claims.adoption_rate,
            rating_improvement=self.claims.rating_improvement,
            improvement_factor=improvement.factor if improvement else None,
            improvement_days=improvement.days if improvement else None,
        )


@dataclass(frozen=True, slots=True)
class Catalog:
    """The whole file. `version` grows with every change of it.

    `service_names` are names of services and products of the trade. They look like names of people
    and places to a recognizer ("Swedish Massage") and are protected from it.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    version: Version
    patterns: Annotated[tuple[CatalogPattern, ...], Field(min_length=1)]
    service_names: Annotated[tuple[Line, ...], Field(min_length=1), AfterValidator(_unique)]

    def __post_init__(self) -> None:
        if repeated := _repeated(pattern.key for pattern in self.patterns):
            raise ValueError(f"patterns: repeated key: {', '.join(repeated)}")


_CATALOG: TypeAdapter[Catalog] = TypeAdapter(Catalog)


def load_catalog() -> Catalog:
    """The catalog that ships with this release. Raises CatalogInvalid."""
    return parse_catalog(catalog_text())


def catalog_text() -> str:
    """The shipped files as one JSON text: the patterns of all types, in the order of the files' names."""
    folder = resources.files("keeper_grpc.catalog")
    catalog = json.loads(folder.joinpath("catalog.json").read_text(encoding="utf-8"))
    files = sorted(folder.joinpath("patterns").iterdir(), key=lambda file: file.name)
    catalog["patterns"] = [
        pattern for file in files for pattern in json.loads(file.read_text(encoding="utf-8"))
    ]
    return json.dumps(catalog)


def parse_catalog(text: str) -> Catalog:
    """A catalog from its JSON text. Raises CatalogInvalid with every fault, one a line."""
    try:
        return _CATALOG.validate_json(text)
    except ValidationError as error:
        faults = (
            f"{'.'.join(map(str, fault['loc'])) or 'catalog'}: {fault['msg']}"
            for fault in error.errors(include_url=False, include_input=False)
        )
        raise CatalogInvalid("\n".join(faults)) from error


def _repeated(names: Iterable[str]) -> list[str]:
    return sorted(name for name, count in Counter(names).items() if count > 1)
